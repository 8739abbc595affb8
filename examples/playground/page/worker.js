// The worker runs the Go program and answers calls of its functions, so that the page never waits.

import "./wasm_exec.js";

const go = new Go();

async function load() {
  const file = await fetch("playground.wasm");
  if (!file.ok) throw new Error(`playground.wasm cannot be loaded: ${file.status} ${file.statusText}`);
  if (file.headers.get("Content-Type") === "application/wasm") {
    return WebAssembly.instantiateStreaming(file, go.importObject);
  }
  return WebAssembly.instantiate(await file.arrayBuffer(), go.importObject);
}

const ready = load().then(({ instance }) => {
  go.run(instance).then(() => postMessage({ died: "The program in the page ended." }));
}).catch((error) => postMessage({ died: error.message }));

onmessage = async ({ data: { id, name, args } }) => {
  await ready;
  const result = globalThis.lab[name](...args);
  postMessage({ id, result }, result.frame ? [result.frame.buffer] : []);
};
