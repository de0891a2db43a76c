// The page: a listing of clips, and one clip. The part of the address behind # says which, so that back,
// forward and bookmarks work.

import { openClip } from "./clip.js";
import { el } from "./dom.js";
import { getJson } from "./http.js";
import { makeListing } from "./listing.js";

const parts = { listing: document.getElementById("listing"), clip: document.getElementById("clip") };
let close = () => {};

function show(name) {
  for (const [other, part] of Object.entries(parts)) part.hidden = other !== name;
}

function fatal(error) {
  const place = document.getElementById("fatal");
  place.textContent = error.message;
  place.hidden = false;
}

async function start() {
  const corpus = await getJson("/api/corpus");
  const names = corpus.names.join(", ");
  document.getElementById("corpus").append(el("b", {}, names), ` ${corpus.url}`);
  document.title = `${names} · factorportrait`;
  const listing = makeListing(parts.listing, corpus);

  const route = async () => {
    close();
    close = () => {};
    const state = new URLSearchParams(location.hash.slice(1));
    if (!state.has("clip")) {
      show("listing");
      parts.clip.replaceChildren();
      await listing.show(state);
      return;
    }
    show("clip");
    window.scrollTo(0, 0);
    const id = { source: state.get("source") ?? "0", key: state.get("clip") };
    close = openClip(parts.clip, id, listing.back(), corpus.classes);
  };
  window.addEventListener("hashchange", () => route().catch(fatal));
  await route();
}

start().catch(fatal);
