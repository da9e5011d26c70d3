// A short sound when a car is read, another when something is wrong: for who does not look at the screen. Off until wanted.

const NOTES_HZ = { car: [880], bad: [330, 262] };
const NOTE_S = 0.14;

let context = null;

export const soundIsOn = () => localStorage.getItem("sound") === "on";

/** Turned by a press: browsers play nothing before one. */
export function turnSound(on) {
  localStorage.setItem("sound", on ? "on" : "off");
  if (on) play("car");
}

/** `car` or `bad`. */
export function play(kind) {
  if (!soundIsOn()) return;
  context ??= new AudioContext();
  for (const [index, hz] of NOTES_HZ[kind].entries()) {
    const start = context.currentTime + index * NOTE_S;
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0.2, start);
    volume.gain.exponentialRampToValueAtTime(0.001, start + NOTE_S);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + NOTE_S);
  }
}
