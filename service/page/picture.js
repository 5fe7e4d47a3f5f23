/** A picture as the model sees it: its shape, its channels, values in [0, 1]. For display; the API decodes its own. */

/** @typedef {import("./types.js").ModelInfo} ModelInfo */
/** @typedef {import("./types.js").Pixels} Pixels */

const LUMINANCE = [0.299, 0.587, 0.114];

/**
 * Decodes a file.
 * @param {Blob} file
 * @returns {Promise<ImageBitmap | null>} nothing when the browser cannot
 */
export async function decode(file) {
  try {
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    return null;
  }
}

/**
 * Brings a picture into the model's shape as the API does: shorter side, then the centre.
 * @param {ImageBitmap} bitmap
 * @param {ModelInfo} model
 * @returns {Pixels}
 */
export function fitted(bitmap, model) {
  const [channels, height, width] = model.input_shape;
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const same = bitmap.width === width && bitmap.height === height;
  const scale = same ? 1 : (model.fit?.resize ?? Math.min(width, height)) / Math.min(bitmap.width, bitmap.height);
  const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, Math.round((width - wide) / 2), Math.round((height - high) / 2), wide, high);
  return read(context.getImageData(0, 0, width, height), channels);
}

/**
 * @param {ImageData} image
 * @param {number} channels 1 or 3
 * @returns {Pixels}
 */
function read(image, channels) {
  const { width, height, data: rgba } = image;
  const data = new Float32Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const [red = 0, green = 0, blue = 0] = rgba.subarray(4 * pixel, 4 * pixel + 3);
    const colours = [red, green, blue];
    if (channels === 1) {
      const grey = red === green && green === blue ? red : weigh(colours);
      data[pixel] = grey / 255;
    } else {
      for (let channel = 0; channel < channels; channel += 1) {
        data[pixel * channels + channel] = (colours[channel] ?? 0) / 255;
      }
    }
  }
  return { width, height, channels, data };
}

/** @param {number[]} colours */
const weigh = (colours) => colours.reduce((sum, colour, index) => sum + colour * (LUMINANCE[index] ?? 0), 0);

/**
 * Shows pixels, clipped to what a screen can show.
 * @param {Pixels} pixels
 * @param {string} words what the picture is, for those who do not see it
 * @returns {HTMLCanvasElement}
 */
export function draw(pixels, words) {
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  canvas.className = pixels.width < 100 ? "picture coarse" : "picture";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(pixels.width, pixels.height);
  const { channels } = pixels;
  for (let pixel = 0; pixel < pixels.width * pixels.height; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const value = pixels.data[pixel * channels + Math.min(channel, channels - 1)] ?? 0;
      image.data[4 * pixel + channel] = Math.round(255 * value); // clamps by itself
    }
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * The SHA-256 of a file, where the browser offers it (https, or this machine).
 * @param {Blob} file
 * @returns {Promise<string | null>}
 */
export async function digest(file) {
  if (!globalThis.crypto?.subtle) return null;
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
