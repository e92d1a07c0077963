/* Numbers out of the page: bytes in base64, of which a table says {name: [kind, first byte, shape]}. */

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

let halfTable = null;

/* The value of all 65,536 half-precision numbers. */
function halves() {
  if (halfTable) return halfTable;
  halfTable = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = bits >> 10 & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
    halfTable[bits] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * fraction / 1024);
  }
  return halfTable;
}

class Tensors {
  constructor(table, bytes) {
    Object.assign(this, {table, bytes, read: new Map()});
  }

  has(name) {
    return name in this.table;
  }

  shape(name) {
    return this.table[name][2];
  }

  /* The values of a tensor, row by row: Float32Array of f2 and f4, Uint8Array of u1; null where there is none. */
  get(name) {
    if (!this.has(name)) return null;
    if (!this.read.has(name)) this.read.set(name, this.decoded(...this.table[name]));
    return this.read.get(name);
  }

  decoded(kind, first, shape) {
    const n = shape.reduce((a, b) => a * b, 1), width = {u1: 1, f2: 2, f4: 4}[kind];
    const part = this.bytes.slice(first, first + n * width);
    if (kind === "u1") return part;
    if (kind === "f4") return new Float32Array(part.buffer);
    const table = halves();
    return Float32Array.from(new Uint16Array(part.buffer), bits => table[bits]);
  }
}

/* weight [rows, x.length] times x, plus the bias where there is one. */
function linear(weight, bias, x, rows) {
  const n = x.length, whole = n - n % 4, y = new Float32Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i < whole; i += 4, at += 4) {
      a += weight[at] * x[i];
      b += weight[at + 1] * x[i + 1];
      c += weight[at + 2] * x[i + 2];
      d += weight[at + 3] * x[i + 3];
    }
    for (; i < n; i++, at++) a += weight[at] * x[i];
    y[row] = a + b + c + d + (bias ? bias[row] : 0);
  }
  return y;
}

function logSoftmax(logits) {
  let top = -Infinity, total = 0;
  for (const value of logits) top = Math.max(top, value);
  for (const value of logits) total += Math.exp(value - top);
  const log = top + Math.log(total);
  return Float64Array.from(logits, value => value - log);
}
