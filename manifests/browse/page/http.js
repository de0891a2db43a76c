// Questions to the server. Errors carry the sentence that the server sent.

export function address(path, parameters = {}) {
  return `${path}?${new URLSearchParams(parameters)}`;
}

export async function getJson(path, parameters, signal) {
  return (await ask(path, parameters, signal)).json();
}

export async function getBinary(path, parameters, signal) {
  return (await ask(path, parameters, signal)).arrayBuffer();
}

async function ask(path, parameters, signal) {
  let response;
  try {
    response = await fetch(address(path, parameters), { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; is `factorportrait browse` still running?");
  }
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `The server answered ${response.status}.`);
  }
  return response;
}
