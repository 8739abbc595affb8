// The worker runs the Go program and answers calls of its functions, so that the page never waits.

import "./wasm_exec.js";

const go = new Go();

// load loads the program, which is compressed, so that it is small from any server.
async function load() {
  const file = await fetch("playground.wasm.gzip");
  if (!file.ok) throw new Error(`playground.wasm.gzip cannot be loaded: ${file.status} ${file.statusText}`);
  const program = file.body.pipeThrough(new DecompressionStream("gzip"));
  return WebAssembly.instantiateStreaming(new Response(program, { headers: { "Content-Type": "application/wasm" } }), go.importObject);
}

const ready = load().then(({ instance }) => {
  go.run(instance).then(() => postMessage({ died: "The program in the page ended." }));
}).catch((error) => postMessage({ died: error.message }));

onmessage = async ({ data: { id, name, args } }) => {
  await ready;
  const result = globalThis.lab(name, ...args);
  postMessage({ id, result }, result.maps ? [result.maps.buffer] : []);
};
