/** Loads and decodes the picture or the sound of an example before it is its turn. */

const LARGEST_WAVE_BYTES = 30e6;
const PEAKS = 1200;
let decoder = null;

/**
 * @typedef {{ready: Promise<void>, picture: HTMLImageElement|null, sound: Sound|null, problem: string, release: () => void}} Media
 * @typedef {{address: string, seconds: number, peaks: Float32Array|null}} Sound
 *   address: of the bytes in this page; peaks: the loudest sample of each part in [0, 1], null where there is no wave to draw.
 */

/** @returns {Media} at once; `ready` says when it can be shown without a wait. It never rejects. */
export function prepare(item, modality) {
  const media = { ready: Promise.resolve(), picture: null, sound: null, problem: "", release: () => {} };
  if (!item.media) return media;
  if (modality === "image") preparePicture(media, item);
  if (modality === "audio") prepareSound(media, item);
  return media;
}

function preparePicture(media, item) {
  const picture = new Image();
  picture.alt = item.id;
  picture.draggable = false;
  picture.src = item.media;
  media.picture = picture;
  media.ready = picture.decode().catch(() => {
    media.problem = "The browser cannot show this picture.";
  });
}

function prepareSound(media, item) {
  const stop = new AbortController();
  media.release = () => {
    stop.abort();
    if (media.sound) URL.revokeObjectURL(media.sound.address);
  };
  media.ready = loadSound(item.media, stop.signal).then(
    sound => {
      if (stop.signal.aborted) URL.revokeObjectURL(sound.address);
      media.sound = sound;
    },
    () => {
      media.problem = "The sound cannot be loaded.";
    },
  );
}

async function loadSound(address, signal) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const blob = await response.blob();
  const sound = { address: URL.createObjectURL(blob), seconds: NaN, peaks: null };
  if (blob.size > LARGEST_WAVE_BYTES) return sound;
  try {
    // This kind of context decodes before the person has touched the page.
    decoder ??= new OfflineAudioContext(1, 1, 44100);
    const decoded = await decoder.decodeAudioData(await blob.arrayBuffer());
    sound.seconds = decoded.duration;
    sound.peaks = peaksOf(decoded);
  } catch {
    // The player may still know this kind.
  }
  return sound;
}

/** The loudest sample of each of at most 1,200 equal parts, over all channels. */
function peaksOf(decoded) {
  const parts = Math.min(PEAKS, decoded.length), peaks = new Float32Array(parts);
  for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
    const samples = decoded.getChannelData(channel);
    for (let part = 0; part < parts; part++) {
      const end = Math.floor(((part + 1) * samples.length) / parts);
      for (let place = Math.floor((part * samples.length) / parts); place < end; place++) {
        const size = Math.abs(samples[place]);
        if (size > peaks[part]) peaks[part] = size;
      }
    }
  }
  return peaks;
}
