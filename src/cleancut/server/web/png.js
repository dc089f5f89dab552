// @ts-check
/** Files from bare pixels: a canvas would multiply them by their alpha (W3C PNG; Windows BMP). */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOUR_TYPES = { 1: 0, 3: 2 };
const BMP_HEAD = 54;

const CRCS = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/**
 * A PNG of 8 bits a channel.
 * @param {Uint8Array | Uint8ClampedArray} pixels row by row, grey (1 channel) or RGB (3)
 * @param {number} width
 * @param {number} height
 * @param {1 | 3} channels
 * @returns {Promise<Blob>}
 */
export async function png(pixels, width, height, channels) {
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8);
  head.setUint8(9, COLOUR_TYPES[channels]);
  const data = await deflated(filtered(pixels, width * channels, height));
  const chunks = [
    chunk("IHDR", new Uint8Array(head.buffer)),
    chunk("IDAT", data),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Blob([new Uint8Array(SIGNATURE), ...chunks.flat()], { type: "image/png" });
}

/**
 * A BMP of a canvas's pixels without their alpha: large, and ready at once.
 * @param {ImageData} pixels
 * @returns {Blob}
 */
export function bmp({ data, width, height }) {
  const stride = (width * 3 + 3) & ~3;
  const bytes = new Uint8Array(BMP_HEAD + stride * height);
  const head = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  head.setUint32(2, bytes.length, true);
  head.setUint32(10, BMP_HEAD, true);
  head.setUint32(14, BMP_HEAD - 14, true);
  head.setInt32(18, width, true);
  head.setInt32(22, -height, true); // from the top down
  head.setUint16(26, 1, true);
  head.setUint16(28, 24, true);
  for (let y = 0, from = 0; y < height; y += 1) {
    let to = BMP_HEAD + y * stride;
    for (let x = 0; x < width; x += 1, from += 4, to += 3) {
      bytes[to] = data[from + 2];
      bytes[to + 1] = data[from + 1];
      bytes[to + 2] = data[from];
    }
  }
  return new Blob([bytes], { type: "image/bmp" });
}

/** Rows as differences to the row above (filter 2): what is even becomes zeros. */
function filtered(pixels, stride, height) {
  const out = new Uint8Array((stride + 1) * height);
  for (let row = 0; row < height; row += 1) {
    const from = row * stride;
    const to = row * (stride + 1);
    out[to] = 2;
    if (row === 0) {
      out.set(pixels.subarray(0, stride), 1);
      continue;
    }
    for (let x = 0; x < stride; x += 1) out[to + 1 + x] = pixels[from + x] - pixels[from - stride + x];
  }
  return out;
}

async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(name, data) {
  const bytes = Uint8Array.from(name, (letter) => letter.charCodeAt(0));
  const [length, sum] = [new DataView(new ArrayBuffer(4)), new DataView(new ArrayBuffer(4))];
  length.setUint32(0, data.length);
  sum.setUint32(0, (crc(data, crc(bytes, 0xffffffff)) ^ 0xffffffff) >>> 0);
  return [length.buffer, bytes, data, sum.buffer];
}

function crc(bytes, start) {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 1) sum = CRCS[(sum ^ bytes[at]) & 255] ^ (sum >>> 8);
  return sum;
}
