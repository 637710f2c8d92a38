
"use strict";
// Renders the OpenAPI document that stands in the page. Text goes in as text, never as HTML, and nothing is fetched:
// the API key stays in this page and in what is copied from it.

const api = JSON.parse(document.getElementById("document").textContent);
const curls = [];

/** The object a `$ref` names, or the object itself. */
function resolve(value) {
  if (!value?.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
}

/** An element with attributes and children; strings become text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== undefined));
  return made;
}

/** `code` and **bold**. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return element("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return element("strong", {}, part.slice(2, -2));
    return part;
  });
}

/** Paragraphs and tables: the Markdown that the document uses. */
function markdown(text) {
  return (text ?? "").trim().split(/\n\n+/).filter(Boolean).map((block) => {
    if (!block.startsWith("|")) return element("p", {}, inline(block));
    const [head, , ...rows] = block.split("\n").map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()));
    return table(head, rows.map((row) => row.map(inline)));
  });
}

function table(head, rows) {
  const cells = (name, row) => element("tr", {}, row.map((cell) => element(name, {}, cell)));
  return element("table", {}, element("thead", {}, cells("th", head)), element("tbody", {}, rows.map((row) => cells("td", row))));
}

function schemaName(schema) {
  return schema.$ref?.split("/").pop();
}

/** The type of a schema in a few words; named schemas are links. */
function typeOf(schema) {
  const name = schemaName(schema);
  if (name) return [element("a", { href: `#schema-${name}` }, name)];
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return either.flatMap((one, index) => (index ? [" or ", ...typeOf(one)] : typeOf(one)));
  if (schema.enum) return [schema.enum.join(" | ")];
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items)];
  const types = [schema.type ?? "any"].flat();
  return [types.map((type) => (type === "string" && schema.format ? schema.format : type)).join(" or ")];
}

/** The bounds of a value in words. */
function boundsOf(schema) {
  const { minLength, maxLength, minimum, maximum, maxItems, uniqueItems } = schema;
  const words = [];
  if (maxLength !== undefined) words.push(`${minLength ?? 0} to ${maxLength} characters`);
  if (maximum !== undefined) words.push(`${minimum ?? 0} to ${maximum}`);
  if (maxItems !== undefined) words.push(`at most ${maxItems}${uniqueItems ? ", each once" : ""}`);
  if (schema.default !== undefined) words.push(`default ${JSON.stringify(schema.default)}`);
  return words.length ? [element("div", { class: "dim" }, words.join("; "))] : [];
}

/** One row about a parameter or a field. */
function described(name, schema, place, description) {
  const type = [element("div", {}, typeOf(schema)), element("div", { class: "dim" }, place)];
  return [[element("code", {}, name)], type, [...markdown(description), ...boundsOf(schema)]];
}

function properties(schema) {
  const required = schema.required ?? [];
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    described(name, property, required.includes(name) ? "required" : "optional", property.description));
  return table(["field", "type", "meaning"], rows);
}

function schemaBody(schema) {
  if (schema.properties) return properties(schema);
  if (schema.oneOf) return element("ul", {}, schema.oneOf.map((one) => element("li", {}, one.properties ? properties(one) : typeOf(one))));
  return element("p", {}, typeOf(schema), boundsOf(schema));
}

function responseRow([status, reference]) {
  const response = resolve(reference);
  const contents = Object.entries(response.content ?? {});
  const types = contents.flatMap(([, content]) => (content.schema ? typeOf(content.schema) : []));
  const examples = contents.flatMap(([, content]) => Object.entries(content.examples ?? {}));
  const shown = examples.map(([name, example]) =>
    element("details", {}, element("summary", {}, name), code(JSON.stringify(resolve(example).value, null, 2))));
  // Every response has this one, as the text at the top says.
  const names = Object.keys(response.headers ?? {}).filter((name) => name !== "traceresponse").sort();
  const headers = names.length ? [element("div", { class: "dim" }, `headers: ${names.join(", ")}`)] : [];
  return [
    [element("code", {}, status)],
    types,
    [...markdown(response.description), ...headers, ...shown],
  ];
}

function code(text) {
  return element("pre", {}, element("code", {}, text));
}

/** A word for the shell; double quotes where a variable is to be read. */
function quoted(text) {
  return text.includes("$") ? `"${text}"` : `'${text.replaceAll("'", "'\\''")}'`;
}

function curlOf(method, path, operation, key) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const target = parameters.filter((one) => one.in === "path").reduce((text, one) => text.replace(`{${one.name}}`, one.example), path);
  const lines = [`curl -i -X ${method.toUpperCase()} ${quoted(location.origin + target)}`, `-H ${quoted(`Authorization: Bearer ${key || "$API_KEY"}`)}`];
  // An optional Idempotency-Key that is always the same would surprise whoever tries twice.
  for (const header of parameters.filter((one) => one.in === "header" && one.required)) lines.push(`-H ${quoted(`${header.name}: ${header.example}`)}`);
  const [[mediaType, content] = []] = Object.entries(operation.requestBody?.content ?? {});
  if (mediaType) lines.push(`-H ${quoted(`Content-Type: ${mediaType}`)}`, `-d ${quoted(JSON.stringify(content.example))}`);
  return lines.join(" \\\n  ");
}

function curlBlock(method, path, operation) {
  const text = element("code", {});
  const update = (key) => { text.textContent = curlOf(method, path, operation, key); };
  update("");
  curls.push(update);
  const copy = element("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  return element("div", { class: "curl" }, element("pre", {}, text), copy);
}

function operationSection({ method, path, operation }) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const rows = parameters.map((one) => described(one.name, one.schema, `${one.in}, ${one.required ? "required" : "optional"}`, one.description));
  const section = element("section", { class: "operation", id: operation.operationId },
    element("h3", {}, operation.summary),
    element("p", { class: "path" }, element("span", { class: `method ${method}` }, method), " ", element("code", {}, path)),
    markdown(operation.description));
  if (rows.length) section.append(element("h4", {}, "Parameters"), table(["name", "type", "meaning"], rows));
  if (bodies.length) {
    section.append(element("h4", {}, "Body"), element("p", {}, typeOf(bodies[0][1].schema), ` as ${bodies.map(([type]) => type).join(" or ")}`));
  }
  section.append(element("h4", {}, "Try it"), curlBlock(method, path, operation));
  const responses = Object.entries(operation.responses).sort();
  section.append(element("h4", {}, "Responses"), table(["status", "body", "meaning"], responses.map(responseRow)));
  return section;
}

function render() {
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method, path, operation })));
  const key = element("input", { placeholder: "tpk_…", autocomplete: "off", spellcheck: "false" });
  key.addEventListener("input", () => curls.forEach((update) => update(key.value.trim())));
  const nav = element("nav", {}, element("strong", {}, api.info.title), " ", element("span", { class: "dim" }, api.info.version),
    element("p", {}, element("a", { href: "/openapi.json" }, "openapi.json")),
    element("label", {}, "API key for the examples", key));
  const main = element("main", {}, element("h1", {}, api.info.title), markdown(api.info.description));
  for (const tag of api.tags) {
    nav.append(element("h2", {}, tag.name));
    main.append(element("h2", { id: `tag-${tag.name}` }, tag.name), ...markdown(tag.description));
    for (const one of operations.filter(({ operation }) => operation.tags.includes(tag.name))) {
      nav.append(element("a", { href: `#${one.operation.operationId}` }, one.operation.summary));
      main.append(operationSection(one));
    }
  }
  nav.append(element("h2", {}, "schemas"));
  main.append(element("h2", {}, "schemas"));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    nav.append(element("a", { href: `#schema-${name}` }, name));
    main.append(element("section", { class: "operation", id: `schema-${name}` }, element("h3", {}, name), markdown(schema.description), schemaBody(schema)));
  }
  document.body.append(nav, main);
}

render();
