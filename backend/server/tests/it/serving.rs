//! A Tempo surface of our own over a store in a folder that goes with it. Used by tests and benches.

use std::{net::SocketAddr, sync::Arc};

use server::{Surface, tempo};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use traces::Store;

pub(crate) struct Ours {
    pub address: SocketAddr,
    pub store: Arc<Store>,
    surface: Option<Surface>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Ours {
    pub(crate) fn start(now_ns: fn() -> u64) -> Self {
        let folder = TempDir::new().unwrap();
        let (store, _) = Store::open(folder.path(), traces::Options::default()).unwrap();
        let store = Arc::new(store);
        let options = tempo::Options {
            now_ns,
            ..tempo::Options::default()
        };
        let routes = tempo::router(Arc::clone(&store), options);
        let runtime = Runtime::new().unwrap();
        let surface = runtime.block_on(Surface::bind(
            "the Tempo API",
            ([127, 0, 0, 1], 0).into(),
            routes,
            tempo::surface_options(None),
        ));
        let surface = surface.unwrap();
        Self {
            address: surface.address(),
            store,
            surface: Some(surface),
            runtime,
            _folder: folder,
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(surface) = self.surface.take() {
            self.runtime.block_on(surface.stop());
        }
    }
}
