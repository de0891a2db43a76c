// Pages of clips, as tiles or as a table of all columns. Only one page of rows is ever here.

import { el, shown } from "./dom.js";
import { makeFilters } from "./filters.js";
import { address, getJson } from "./http.js";

export function makeListing(root, corpus) {
  let state = { where: [], sort: "", descending: false, page: 0, table: false };
  let asking = new AbortController();

  const go = (change) => {
    state = { ...state, ...change };
    location.hash = hash(state);
  };
  const filters = makeFilters(corpus, (where) => go({ where, page: 0 }));
  const sortable = corpus.columns.filter(({ kind }) => kind === "number" || kind === "text");
  const sort = el("select", { id: "sort", ariaLabel: "sort by", onchange: () => go({ sort: sort.value, page: 0 }) });
  sort.append(el("option", { value: "" }, "in corpus order"), ...sortable.map(({ name }) => el("option", { value: name }, `by ${name}`)));
  const direction = el("button", { type: "button", class: "quiet", title: "smallest or largest first", onclick: () => go({ descending: !state.descending, page: 0 }) });
  const layout = el("button", { type: "button", class: "quiet", id: "layout", onclick: () => go({ table: !state.table }) });
  const count = el("span", { id: "count", class: "count", role: "status" });
  const turn = (by) => el("button", { type: "button", class: "quiet", onclick: () => go({ page: state.page + by }) }, by < 0 ? "‹ Previous" : "Next ›");
  const previous = turn(-1);
  const next = turn(1);
  next.id = "next-page";
  const number = el("input", { type: "number", min: 1, class: "page", ariaLabel: "page", onchange: () => go({ page: Math.max(0, Math.round(number.value || 1) - 1) }) });
  const pages = el("span", { class: "count" });
  const rows = el("div", { id: "rows" });
  root.append(
    filters.root,
    el("div", { class: "bar" }, count, el("span", { class: "space" }), sort, direction, layout, previous, number, pages, next),
    rows,
  );

  async function show(parameters) {
    state = parsed(parameters);
    filters.set(state.where);
    asking.abort();
    asking = new AbortController();
    sort.value = state.sort;
    direction.textContent = state.descending ? "↓" : "↑";
    direction.hidden = !state.sort;
    layout.textContent = state.table ? "Tiles" : "Table";
    count.textContent = "Looking…";
    const question = { where: JSON.stringify(state.where), sort: state.sort, descending: state.descending ? "1" : "0", page: state.page };
    try {
      const page = await getJson("/api/clips", question, asking.signal);
      const last = page.first + page.rows.length;
      const range = page.rows.length ? `${(page.first + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ` : "";
      count.textContent = `${range}${page.total.toLocaleString("en")} clips`;
      state.page = page.number;
      number.value = page.number + 1;
      number.max = page.pages;
      pages.textContent = `of ${page.pages.toLocaleString("en")}`;
      previous.disabled = page.number === 0;
      next.disabled = page.number + 1 >= page.pages;
      rows.replaceChildren(page.rows.length ? (state.table ? table(corpus, page.rows, state, go) : tiles(page.rows, state)) : el("p", { class: "empty" }, "No clip matches."));
    } catch (error) {
      if (error.name === "AbortError") return;
      count.textContent = "";
      rows.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  return { show, back: () => `#${hash(state)}` };
}

function hash({ where, sort, descending, page, table }) {
  const parameters = new URLSearchParams();
  if (where.length) parameters.set("where", JSON.stringify(where));
  if (sort) parameters.set("sort", sort);
  if (descending) parameters.set("descending", "1");
  if (page) parameters.set("page", page);
  if (table) parameters.set("table", "1");
  return parameters.toString();
}

function parsed(parameters) {
  let where = [];
  try {
    where = JSON.parse(parameters.get("where") ?? "[]");
  } catch {
    // an address that someone typed
  }
  return {
    where: Array.isArray(where) ? where.filter((item) => Array.isArray(item) && item.length === 3) : [],
    sort: parameters.get("sort") ?? "",
    descending: parameters.get("descending") === "1",
    page: Math.max(0, Number.parseInt(parameters.get("page") ?? "0", 10) || 0),
    table: parameters.get("table") === "1",
  };
}

function link(row) {
  return `#${new URLSearchParams({ clip: row.key ?? "", source: row.source })}`;
}

function tiles(rows, state) {
  const asked = [...new Set([...state.where.map(([column]) => column), state.sort])].filter((name) => name && name !== "members" && name !== "key");
  return el("div", { class: "tiles" }, ...rows.map((row) => tile(row, asked)));
}

function tile(row, asked) {
  const whole = row.status === "ok";
  const picture = whole ? thumbnail(row) : el("div", { class: "thumbnail given-up" }, row.error ?? "given up");
  const facts = whole
    ? [`${shown(row.recipe)} · ${shown(row.split)}`, `identity ${shown(row.identity)} · ${shown(row.views)} views × ${shown(row.frames)} frames`]
    : [shown(row.status)];
  const extra = asked.filter((name) => !["recipe", "split", "identity"].includes(name));
  return el(
    "a",
    { class: "tile", href: link(row), title: row.key ?? "" },
    picture,
    el("div", { class: "caption" }, el("b", {}, shown(row.key)), ...facts.map((fact) => el("span", {}, fact)), ...extra.map((name) => el("span", { class: "asked" }, `${name} ${shown(row[name])}`))),
  );
}

function thumbnail(row) {
  const image = el("img", { class: "thumbnail", loading: "lazy", alt: "", src: address("/api/thumbnail", { source: row.source, key: row.key ?? "" }) });
  image.addEventListener("error", () => image.replaceWith(el("div", { class: "thumbnail given-up" }, "cannot be shown: open it to see why")));
  return image;
}

function table(corpus, rows, state, go) {
  const names = corpus.columns.filter(({ kind }) => kind !== "members").map(({ name }) => name);
  const first = ["key", "recipe", "split", "identity"];
  const columns = [...first, ...names.filter((name) => !first.includes(name))];
  const heading = (name) => {
    const mark = state.sort === name ? (state.descending ? " ↓" : " ↑") : "";
    const sort = () => go({ sort: name, descending: state.sort === name && !state.descending, page: 0 });
    return el("th", {}, el("button", { type: "button", class: "heading", onclick: sort }, name + mark));
  };
  const cell = (row, name) => el("td", { title: shown(row[name]) }, name === "key" ? el("a", { href: link(row) }, shown(row.key)) : shown(row[name]));
  return el(
    "div",
    { class: "table" },
    el("table", {}, el("thead", {}, el("tr", {}, ...columns.map(heading))), el("tbody", {}, ...rows.map((row) => el("tr", {}, ...columns.map((name) => cell(row, name)))))),
  );
}
