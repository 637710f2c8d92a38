//! The authority of this installation and the certificates it signs. The authority stays on disk, so that clients that trust it go
//! on trusting it; a server's certificate and key are made at start, renewed while serving, and are never written.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use conventions::fields;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    crypto::ring::sign::any_ecdsa_type,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use time::{Duration, OffsetDateTime};

/// The certificate that clients are told to trust.
pub const CA_FILE: &str = "ca.pem";
/// Key and certificate of the authority, for its owner alone: one file, so that they always belong together.
const AUTHORITY_FILE: &str = "authority.pem";
/// Before the first line of the authority's file.
const EXPIRES: &str = "expires ";
/// In the name of the authority and of what it certifies.
const ORGANIZATION: &str = "Tripod";
const AUTHORITY_LIFE: Duration = Duration::days(3_650);
/// An authority with less than this left is replaced: a server's certificate must end before it does.
const AUTHORITY_LEFT_MIN: Duration = Duration::days(90);
const CERTIFICATE_LIFE: Duration = Duration::days(60);
/// A server's certificate is replaced halfway.
const CERTIFICATE_RENEWED_AFTER: Duration = Duration::days(30);
/// Clients' clocks may be behind.
const CLOCK_MARGIN: Duration = Duration::days(1);
const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// A clock of dates.
type Now = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// Signs certificates for loopback names, and hands a server the one to show.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    now: Now,
    current: Mutex<Current>,
}

struct Current {
    certified: Arc<CertifiedKey>,
    renewed: OffsetDateTime,
}

/// There is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot read or write the certificate authority at {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is not a certificate authority: move it away to have a new one made", path.display())]
    Damaged { path: PathBuf },
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use a certificate's key")]
    Key(#[from] rustls::Error),
}

impl Authority {
    /// Reads the authority in `dir`, or makes one when there is none or it ends soon. The certificate to trust is then in
    /// [`CA_FILE`] there.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or its authority is damaged.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        Self::open_at(dir, Arc::new(OffsetDateTime::now_utc))
    }

    fn open_at(dir: &Path, now: Now) -> Result<Self, AuthorityError> {
        let path = dir.join(AUTHORITY_FILE);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| AuthorityError::File { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let known = match fs::read_to_string(&path) {
            Ok(text) => {
                let damaged = || AuthorityError::Damaged { path: path.clone() };
                Some(parse(&text).ok_or_else(damaged)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(AuthorityError::Damaged { path });
            }
            Err(source) => return Err(AuthorityError::File { path, source }),
        };
        let alive = known.filter(|(expires, ..)| *expires - now() > AUTHORITY_LEFT_MIN);
        let (key, certificate) = match alive {
            Some((_, key, certificate)) => (key, certificate),
            None => {
                let (key, certificate, text) = make(now())?;
                write(&path, &text).map_err(at(&path))?;
                (key, certificate)
            }
        };
        let ca_path = dir.join(CA_FILE);
        if fs::read_to_string(&ca_path).ok().as_deref() != Some(certificate.as_str()) {
            write(&ca_path, &certificate).map_err(at(&ca_path))?;
        }
        let issuer = Issuer::new(authority_params(now()), key);
        let current = certify(&issuer, now())?;
        Ok(Self {
            issuer,
            now,
            current: Mutex::new(current),
        })
    }
}

impl ResolvesServerCert for Authority {
    /// One certificate for all names; a new one when the old one is halfway through its life.
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate())
    }
}

impl Authority {
    fn certificate(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.now)();
        if now - current.renewed > CERTIFICATE_RENEWED_AFTER {
            match certify(&self.issuer, now) {
                Ok(renewed) => *current = renewed,
                // The old one is good for as long again, and every handshake tries anew.
                Err(error) => {
                    tracing::error!({ fields::ERROR } = %error, "the TLS certificate is not renewed");
                }
            }
        }
        Arc::clone(&current.certified)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authority")
    }
}

/// Key, certificate, and the text of the file that holds both.
fn make(now: OffsetDateTime) -> Result<(KeyPair, String, String), AuthorityError> {
    let key = KeyPair::generate()?;
    let params = authority_params(now);
    let expires = params.not_after.unix_timestamp();
    let certificate = params.self_signed(&key)?.pem();
    let text = format!("{EXPIRES}{expires}\n{}{certificate}", key.serialize_pem());
    Ok((key, certificate, text))
}

fn parse(text: &str) -> Option<(OffsetDateTime, KeyPair, String)> {
    let (first, rest) = text.split_once('\n')?;
    let expires = first.strip_prefix(EXPIRES)?.parse().ok()?;
    let expires = OffsetDateTime::from_unix_timestamp(expires).ok()?;
    let (key, certificate) = rest.split_at(rest.find(BEGIN_CERTIFICATE)?);
    Some((
        expires,
        KeyPair::from_pem(key).ok()?,
        certificate.to_owned(),
    ))
}

/// The same for an authority read again but for its dates, which do not go into what it signs.
fn authority_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANIZATION);
    params
        .distinguished_name
        .push(DnType::CommonName, "Tripod local authority");
    // It signs servers' certificates and no further authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = now - CLOCK_MARGIN;
    params.not_after = now + AUTHORITY_LIFE;
    params
}

fn certify(
    issuer: &Issuer<'static, KeyPair>,
    now: OffsetDateTime,
) -> Result<Current, AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.subject_alt_names.extend([
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ]);
    params.distinguished_name.remove(DnType::CommonName);
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANIZATION);
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - CLOCK_MARGIN;
    params.not_after = now + CERTIFICATE_LIFE;
    let certificate = params.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = any_ecdsa_type(&key)?;
    Ok(Current {
        certified: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)),
        renewed: now,
    })
}

/// Whole or not at all, and for its owner alone.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new_path = path.with_extension("pem.new");
    // A left-over of an earlier attempt may have other permissions.
    match fs::remove_file(&new_path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new_path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new_path, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{os::unix::fs::PermissionsExt, sync::atomic::AtomicI64, sync::atomic::Ordering};

    use super::*;

    fn clock() -> (Arc<AtomicI64>, Now) {
        let days = Arc::new(AtomicI64::new(0));
        let read = Arc::clone(&days);
        let start = OffsetDateTime::now_utc();
        let now = move || start + Duration::days(read.load(Ordering::SeqCst));
        (days, Arc::new(now))
    }

    #[test]
    fn an_authority_is_made_once_and_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (_, now) = clock();
        drop(Authority::open_at(dir.path(), Arc::clone(&now)).unwrap());
        let ca = fs::read(dir.path().join(CA_FILE)).unwrap();
        let authority = dir.path().join(AUTHORITY_FILE);
        let mode = fs::metadata(&authority).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A certificate that was deleted or edited comes back.
        fs::write(dir.path().join(CA_FILE), "edited").unwrap();
        drop(Authority::open_at(dir.path(), now).unwrap());
        assert_eq!(fs::read(dir.path().join(CA_FILE)).unwrap(), ca);
    }

    #[test]
    fn an_authority_that_ends_soon_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (days, now) = clock();
        let ca = || {
            drop(Authority::open_at(dir.path(), Arc::clone(&now)).unwrap());
            fs::read(dir.path().join(CA_FILE)).unwrap()
        };
        let first = ca();
        days.store(3_650 - 91, Ordering::SeqCst);
        assert_eq!(ca(), first);
        days.store(3_650 - 89, Ordering::SeqCst);
        assert_ne!(ca(), first);
    }

    #[test]
    fn a_certificate_is_renewed_halfway() {
        let dir = tempfile::tempdir().unwrap();
        let (days, now) = clock();
        let authority = Authority::open_at(dir.path(), now).unwrap();
        let first = authority.certificate();
        days.store(30, Ordering::SeqCst);
        assert!(Arc::ptr_eq(&first, &authority.certificate()));
        days.store(31, Ordering::SeqCst);
        assert!(!Arc::ptr_eq(&first, &authority.certificate()));
    }

    #[test]
    fn a_damaged_authority_is_an_error_and_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (_, now) = clock();
        let path = dir.path().join(AUTHORITY_FILE);
        for damage in [&b"garbage"[..], b"expires 99999999999\nx", b"\xff\xfe", b""] {
            fs::write(&path, damage).unwrap();
            let error = Authority::open_at(dir.path(), Arc::clone(&now)).unwrap_err();
            assert!(matches!(error, AuthorityError::Damaged { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), damage);
        }
    }
}
