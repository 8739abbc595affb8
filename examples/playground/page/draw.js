// The pictures. A session is what began a training (see begin in app.js), a frame what it is now.

import { number, power } from "./format.js";

let theme; // the colours of the page's style

export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  theme = { font: style.fontFamily };
  for (const name of ["paper", "ink", "muted", "line", "faint", "positive", "negative", "middle"]) {
    theme[name] = style.getPropertyValue("--" + name).trim();
  }
  theme.shades = shades(false);
  theme.bands = shades(true);
}

// shades are 256 colours for −1 to 1.
function shades(bands) {
  const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const middle = parts(theme.middle);
  const table = new Uint32Array(256);
  for (let v = 0; v < 256; v++) {
    const end = parts(v > 127 ? theme.positive : theme.negative);
    const share = bands ? 0.6 : 0.7 * Math.abs(v - 127.5) / 127.5;
    const [r, g, b] = middle.map((m, i) => Math.round(m + share * (end[i] - m)));
    table[v] = 0xff000000 | (b << 16) | (g << 8) | r;
  }
  return table;
}

// open sizes a canvas to the pixels of the screen, and clears it.
function open(canvas) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  c.font = `12px ${theme.font}`;
  c.textBaseline = "middle";
  return { c, width, height };
}

// mapOf is what a unit gives over the plane, from −1 to 1, as a function of row and column, of which
// it takes every so many. Where that cannot be computed it is NaN.
function mapOf(session, frame, column, unit, every = 1) {
  const { side, blocks, counts } = session;
  const first = counts.slice(0, column).reduce((a, b) => a + b, 0) * side * side + unit, stride = counts[column];
  const probability = column === blocks.length && !session.regression;
  const [scale, shift] = column === 0 ? [1 / 6, 0] : probability ? [2, -1] : [1, 0];
  return (i, j) => scale * frame.maps[first + (i * side + j) * every * stride] + shift;
}

// paint makes an image of a map of side×side points, or of many of them in rows of 20.
function paint(canvas, side, maps, table) {
  const columns = Math.min(20, maps.length);
  const width = side * columns, height = side * Math.ceil(maps.length / 20);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const c = canvas.getContext("2d", { willReadFrequently: true });
  const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  maps.forEach((map, k) => {
    const corner = Math.floor(k / 20) * side * width + (k % 20) * side;
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        pixels[corner + i * width + j] = table[Math.round(127.5 * (1 + Math.max(-1, Math.min(1, map(i, j)))))];
      }
    }
  });
  c.putImageData(image, 0, 0);
}

const units = document.createElement("canvas"), output = document.createElement("canvas"), shown = document.createElement("canvas");

// place is where the columns and units of the network stand.
export function place(session, width, height) {
  const { counts } = session, left = 52, right = 30, most = Math.max(...counts);
  const step = (width - left - right) / (counts.length - 1);
  const size = Math.max(3, Math.min(38, step * 0.62, (height - 8) / most - 3));
  const x = counts.map((_, k) => left + k * step);
  const gap = Math.min((height - 8) / most, size + 24);
  const y = counts.map((n) => Array.from({ length: n }, (_, i) => height / 2 + (i - (n - 1) / 2) * gap));
  return { x, y, size };
}

const names = { x1: "x₁", x2: "x₂", x1x1: "x₁²", x2x2: "x₂²", x1x2: "x₁x₂", sinx1: "sin x₁", sinx2: "sin x₂" };

export const inputNames = (session) => session.settings.features.split(",").map((name) => names[name]);

export function drawNetwork(canvas, session, frame, { lines, selected }) {
  const { c, width, height } = open(canvas);
  const { counts } = session, { x, y, size } = place(session, width, height);
  drawLines(c, session, lines === "gradient" ? frame.grads : frame.params, lines, { x, y, size }, selected);
  const side = session.side / 2, last = counts.length - 1;
  const maps = counts.slice(0, last).flatMap((n, k) => Array.from({ length: n }, (_, i) => mapOf(session, frame, k, i, 2)));
  paint(units, side, maps, theme.shades);
  paint(output, session.side, [mapOf(session, frame, last, 0)], theme.shades);
  const line = size > 12 ? 1 : 0.5;
  let map = 0;
  counts.forEach((n, k) => {
    for (let i = 0; i < n; i++, map++) {
      const left = x[k] - size / 2, top = y[k][i] - size / 2;
      if (k === last) c.drawImage(output, left, top, size, size);
      else c.drawImage(units, (map % 20) * side, Math.floor(map / 20) * side, side, side, left, top, size, size);
      const chosen = selected && selected.column === k && selected.unit === i;
      c.lineWidth = chosen ? 2.5 : line;
      c.strokeStyle = chosen ? theme.ink : theme.muted;
      c.strokeRect(left, top, size, size);
    }
  });
  c.fillStyle = theme.ink;
  c.textAlign = "right";
  inputNames(session).forEach((name, i) => c.fillText(name, x[0] - size / 2 - 6, y[0][i]));
}

// drawLines draws a line for every weight or derivative: its width is the size, its colour the sign.
// Derivatives are drawn relative to the largest of all layers, so that one sees where they vanish.
function drawLines(c, session, values, lines, { x, y, size }, selected) {
  let largest = 0;
  for (const block of session.blocks) {
    for (let i = block.at; i < block.at + block.units * block.inputs; i++) largest = Math.max(largest, Math.abs(values[i]));
  }
  if (!(largest > 0 && largest < Infinity)) return;
  const unit = lines === "gradient" ? largest : Math.max(2, largest);
  const levels = 8, paths = Array.from({ length: 2 * levels }, () => new Path2D());
  const crowded = session.blocks.length > 12;
  session.blocks.forEach((block, k) => {
    const from = x[k] + size / 2, to = x[k + 1] - size / 2, bend = (to - from) / 2;
    for (let i = 0; i < block.units; i++) {
      for (let j = 0; j < block.inputs; j++) {
        if (selected && !touches(selected, k, j, i)) continue;
        const v = values[block.at + i * block.inputs + j];
        const level = Math.ceil(Math.min(1, Math.abs(v) / unit) * levels) - 1;
        if (level < 0 || Math.abs(v) < 0.004 * unit) continue;
        const path = paths[2 * level + (v > 0 ? 1 : 0)];
        path.moveTo(from, y[k][j]);
        if (crowded) path.lineTo(to, y[k + 1][i]);
        else path.bezierCurveTo(from + bend, y[k][j], to - bend, y[k + 1][i], to, y[k + 1][i]);
      }
    }
  });
  const widest = crowded ? 1.5 : Math.min(7, size / 4);
  paths.forEach((path, i) => {
    const share = (Math.floor(i / 2) + 1) / levels;
    c.lineWidth = Math.max(0.5, widest * share);
    c.globalAlpha = (crowded && lines === "weights" ? 0.1 : 0.25) + 0.6 * share;
    c.strokeStyle = i % 2 ? theme.positive : theme.negative;
    c.stroke(path);
  });
  c.globalAlpha = 1;
}

// touches tells whether the line of block k from unit j to unit i begins or ends at the selected one.
const touches = ({ column, unit }, k, j, i) => (column === k && unit === j) || (column === k + 1 && unit === i);

// drawNorms draws the norms of the gradient below the columns of the network, in powers of ten. range
// is what has been seen in this training, start the norms at its beginning.
export function drawNorms(canvas, session, frame, start, range) {
  const { c, width, height } = open(canvas);
  const { x } = place(session, width, height);
  const top = 12, bottom = height - 24;
  const at = (norm) => {
    const v = norm > 0 ? Math.log10(norm) : range.low;
    return bottom - ((Math.max(range.low, Math.min(range.high, v)) - range.low) / (range.high - range.low)) * (bottom - top);
  };
  const step = Math.max(1, Math.ceil((range.high - range.low) / 5));
  for (let e = range.high; e >= range.low; e -= step) drawLevel(c, width, at(10 ** e), power(e));
  const line = (norms, colour, dashes) => {
    c.strokeStyle = colour;
    c.setLineDash(dashes);
    c.beginPath();
    norms.forEach((norm, k) => c.lineTo(x[k + 1], at(norm)));
    c.stroke();
    c.setLineDash([]);
  };
  line(start, theme.muted, [3, 3]);
  if (frame.norms.some((norm) => !Number.isFinite(norm))) return;
  c.lineWidth = 1.5;
  line(frame.norms, theme.positive, []);
  const radius = Math.max(2, Math.min(4.5, (x[1] - x[0]) / 4));
  c.textAlign = "center";
  const every = Math.ceil(28 / (x[1] - x[0]));
  frame.norms.forEach((norm, k) => {
    c.beginPath();
    c.arc(x[k + 1], at(norm), radius, 0, 7);
    c.fillStyle = norm > 0 ? theme.positive : theme.paper;
    c.fill();
    c.stroke();
    c.fillStyle = theme.muted;
    if (k % every === 0) c.fillText(k + 1, x[k + 1], height - 8);
  });
  c.textAlign = "left";
  c.fillText("layer", 4, height - 8);
}

// drawLevel draws a thin line at a height of a diagram, with its value before it.
function drawLevel(c, right, y, text) {
  c.lineWidth = 1;
  c.strokeStyle = theme.line;
  c.beginPath();
  c.moveTo(44, Math.round(y) + 0.5);
  c.lineTo(right, Math.round(y) + 0.5);
  c.stroke();
  c.fillStyle = theme.muted;
  c.textAlign = "right";
  c.fillText(text, 38, y);
}

export function drawPlane(canvas, session, frame, { test, bands, selected }) {
  const { c, width } = open(canvas);
  const side = session.side, map = mapOf(session, frame, selected?.column ?? session.blocks.length, selected?.unit ?? 0);
  paint(shown, side, [map], bands ? theme.bands : theme.shades);
  c.imageSmoothingEnabled = !bands;
  c.imageSmoothingQuality = "high";
  c.drawImage(shown, 0, 0, width, width);
  c.strokeStyle = theme.ink;
  c.lineWidth = 1.25;
  c.stroke(boundary(map, side, width / side));
  c.drawImage(pointsOf(session, test, canvas.width), 0, 0, width, width);
}

const points = { canvas: document.createElement("canvas"), of: [] };

// pointsOf is a picture of the samples, so many pixels wide, which is drawn when it changes.
function pointsOf(session, test, pixels) {
  const of = [session, test, pixels, theme];
  if (of.every((v, i) => v === points.of[i])) return points.canvas;
  points.of = of;
  points.canvas.width = points.canvas.height = pixels;
  const c = points.canvas.getContext("2d"), size = pixels / (devicePixelRatio || 1);
  c.scale(pixels / size, pixels / size);
  const position = (v) => ((v + 6) / 12) * size;
  const least = session.regression ? -1 : 0;
  for (let i = 0; i < session.points.length; i += 3) {
    const held = i / 3 >= session.training;
    if (held && !test) continue;
    const [x1, x2, y] = session.points.slice(i, i + 3);
    c.beginPath();
    if (held) c.rect(position(x1) - 2.5, position(-x2) - 2.5, 5, 5);
    else c.arc(position(x1), position(-x2), 3, 0, 7);
    c.fillStyle = colourOf((y - least) / (1 - least));
    c.fill();
    c.strokeStyle = held ? theme.ink : theme.paper;
    c.lineWidth = held ? 0.75 : 1;
    c.stroke();
  }
  return points.canvas;
}

// colourOf is the colour of a target's place between the least, 0, and the largest, 1.
function colourOf(share) {
  if (share === 0 || share === 1) return share ? theme.positive : theme.negative;
  const shade = theme.shades[Math.round(share * 255)];
  return `rgb(${shade & 255} ${(shade >> 8) & 255} ${(shade >> 16) & 255})`;
}

// boundary is where a map is 0, by marching squares: a line through every square of four points
// whose signs differ.
function boundary(map, side, scale) {
  const path = new Path2D();
  const cut = (a, b) => a / (a - b);
  for (let i = 0; i < side - 1; i++) {
    for (let j = 0; j < side - 1; j++) {
      const a = map(i, j), b = map(i, j + 1), d = map(i + 1, j + 1), e = map(i + 1, j);
      const ends = [];
      if (a > 0 !== b > 0) ends.push([j + cut(a, b), i]);
      if (b > 0 !== d > 0) ends.push([j + 1, i + cut(b, d)]);
      if (e > 0 !== d > 0) ends.push([j + cut(e, d), i + 1]);
      if (a > 0 !== e > 0) ends.push([j, i + cut(a, e)]);
      for (let k = 0; k + 1 < ends.length; k += 2) {
        path.moveTo((ends[k][0] + 0.5) * scale, (ends[k][1] + 0.5) * scale);
        path.lineTo((ends[k + 1][0] + 0.5) * scale, (ends[k + 1][1] + 0.5) * scale);
      }
    }
  }
  return path;
}

// drawLoss draws the curves of the losses in powers of ten; history has epoch, training, test.
export function drawLoss(canvas, history) {
  const { c, width, height } = open(canvas);
  const left = 44, right = width - 8, top = 10, bottom = height - 22;
  const logs = history.flatMap(([, train, test]) => [train, test]).filter((v) => v > 0 && v < 1e30).map(Math.log10);
  const low = logs.length ? Math.floor(logs.reduce((a, b) => Math.min(a, b))) : -1;
  const high = logs.length ? Math.max(low + 1, Math.ceil(logs.reduce((a, b) => Math.max(a, b)))) : 0;
  const end = Math.max(10, history.length ? history[history.length - 1][0] : 0);
  const at = (v) => bottom - ((Math.max(low, Math.min(high, v > 0 ? Math.log10(v) : low)) - low) / (high - low)) * (bottom - top);
  const step = Math.max(1, Math.ceil((high - low) / 4));
  for (let e = high; e >= low; e -= step) drawLevel(c, right, at(10 ** e), e === 0 ? "1" : e === -1 ? "0.1" : power(e));
  [[1, theme.positive, "training"], [2, theme.negative, "test"]].forEach(([column, colour, name], i) => {
    c.strokeStyle = colour;
    c.lineWidth = 1.75;
    c.beginPath();
    for (const point of history) {
      if (Number.isFinite(point[column])) c.lineTo(left + (point[0] / end) * (right - left), at(point[column]));
    }
    c.stroke();
    const key = left + i * 84;
    c.beginPath();
    c.moveTo(key, height - 8);
    c.lineTo(key + 16, height - 8);
    c.stroke();
    c.fillStyle = theme.muted;
    c.textAlign = "left";
    c.fillText(name, key + 21, height - 8);
  });
  c.fillStyle = theme.muted;
  c.textAlign = "right";
  c.fillText(`epoch ${number(end, 0)}`, right, height - 8);
}
