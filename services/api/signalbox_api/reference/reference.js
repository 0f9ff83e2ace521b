/**
 * Shows /openapi.json to people: every call, what it takes, what it answers. No dependencies, nothing inline.
 * @module
 */

/** Relative to this file, because a proxy may serve all of Signalbox below a path. */
const DOCUMENT = new URL("../openapi.json", import.meta.url).href;

const METHODS = ["get", "post", "put", "delete"];

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string | null)} children
 */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Text in which `backquoted` parts are code, and empty lines make paragraphs. @param {string} text */
function prose(text) {
  return text.split(/\n{2,}/).map((paragraph) =>
    h("p", {}, ...paragraph.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part))),
  );
}

/** A type in a few words; named ones are links. @param {any} schema @returns {(Node | string)[]} */
function typeOf(schema) {
  if (!schema) return ["any"];
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return [h("a", { href: `#schema-${name}` }, name)];
  }
  if (schema.enum) return [schema.enum.map((/** @type {unknown} */ one) => JSON.stringify(one)).join(" | ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.anyOf) return schema.anyOf.flatMap((/** @type {any} */ one, /** @type {number} */ index) => [...(index ? [" | "] : []), ...typeOf(one)]);
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items)];
  if (schema.additionalProperties) return ["map of ", ...typeOf(schema.additionalProperties)];
  return [[schema.type ?? "any", schema.format].filter(Boolean).join(", ")];
}

/** @param {any} schema */
function limits(schema) {
  const all = [schema, ...(schema.anyOf ?? [])];
  const found = all.flatMap((one) => [
    one.minimum === undefined ? "" : `at least ${one.minimum}`,
    one.maximum === undefined ? "" : `at most ${one.maximum}`,
    one.maxLength === undefined ? "" : `up to ${one.maxLength} characters`,
    one.default === undefined || one.default === null ? "" : `default ${JSON.stringify(one.default)}`,
  ]);
  return found.filter(Boolean).join(", ");
}

/**
 * @param {[string, any, boolean][]} fields  Name, schema, whether it must be given.
 */
function fieldTable(fields) {
  const rows = fields.map(([name, schema, required]) =>
    h(
      "tr",
      {},
      h("td", {}, h("code", {}, name), required ? "" : h("span", { class: "optional" }, " optional")),
      h("td", {}, ...typeOf(schema)),
      h("td", {}, [schema.description, limits(schema)].filter(Boolean).join(" ")),
    ),
  );
  return h("table", {}, h("tbody", {}, ...rows));
}

/** @param {string} name @param {any} schema */
function schemaSection(name, schema) {
  const fields = Object.entries(schema.properties ?? {});
  const required = new Set(schema.required ?? []);
  return h(
    "section",
    { id: `schema-${name}` },
    h("h3", {}, name),
    ...prose(schema.description ?? ""),
    fields.length ? fieldTable(fields.map(([field, type]) => [field, type, required.has(field)])) : h("p", {}, ...typeOf(schema)),
  );
}

/** @param {string} path @param {string} method @param {any} call */
function callSection(path, method, call) {
  const parameters = (call.parameters ?? []).map((/** @type {any} */ one) => [
    one.name,
    { description: one.description, ...one.schema },
    one.required ?? false,
  ]);
  const body = call.requestBody?.content?.["application/json"]?.schema;
  const answers = Object.entries(call.responses ?? {}).map(([status, answer]) =>
    h(
      "tr",
      {},
      h("td", {}, h("code", {}, status)),
      h("td", {}, ...typeOf(answer.content?.["application/json"]?.schema)),
      h("td", {}, answer.description ?? ""),
    ),
  );
  return h(
    "section",
    { id: call.operationId },
    h("h3", {}, h("span", { class: `method ${method}` }, method.toUpperCase()), " ", h("code", {}, path)),
    h("p", {}, h("strong", {}, call.summary ?? "")),
    ...prose(call.description ?? ""),
    parameters.length ? h("h4", {}, "Parameters") : null,
    parameters.length ? fieldTable(parameters) : null,
    body ? h("p", {}, "Body: ", ...typeOf(body)) : null,
    h("h4", {}, "Answers"),
    h("table", {}, h("tbody", {}, ...answers)),
  );
}

/** @param {any} document_ */
function show(document_) {
  const calls = Object.entries(document_.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, call: methods[method] })),
  );
  const tags = [...new Set(calls.map(({ call }) => call.tags?.[0] ?? "Other"))];
  const groups = tags.map((tag) => ({ tag, own: calls.filter(({ call }) => (call.tags?.[0] ?? "Other") === tag) }));
  const contents = groups.flatMap(({ tag, own }) => [
    h("h2", {}, tag),
    h("ul", {}, ...own.map(({ call }) => h("li", {}, h("a", { href: `#${call.operationId}` }, call.summary ?? call.operationId)))),
  ]);
  document.getElementById("contents")?.replaceChildren(...contents);
  document.getElementById("reference")?.replaceChildren(
    h("h1", {}, `${document_.info.title} ${document_.info.version}`),
    ...prose(document_.info.description ?? ""),
    h("p", {}, "For programs: ", h("a", { href: DOCUMENT }, "openapi.json")),
    ...groups.flatMap(({ tag, own }) => [h("h2", {}, tag), ...own.map(({ path, method, call }) => callSection(path, method, call))]),
    h("h2", {}, "Shapes"),
    ...Object.entries(document_.components.schemas).map(([name, schema]) => schemaSection(name, schema)),
  );
}

try {
  const answer = await fetch(DOCUMENT, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`Signalbox answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  document.getElementById("reference")?.replaceChildren(h("p", {}, `The reference could not be loaded: ${error}`));
}
