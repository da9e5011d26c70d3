// Numbers, money and times as people read them: by the language of the page and the clock of the site.

import { locale, t } from "./texts.js";

let zone = "Asia/Ho_Chi_Minh";
let formats = {};

/** The site's time zone; what is shown from now on is in it. */
export function setZone(name) {
  if (name && name !== zone) {
    zone = name;
    formats = {};
  }
}

/** The site's time zone. */
export const siteZone = () => zone;

function clockFormat(name, options) {
  formats[name] ??= new Intl.DateTimeFormat(locale, { timeZone: zone, hourCycle: "h23", ...options });
  return formats[name];
}

const numbers = new Intl.NumberFormat(locale);
const oneDecimal = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });

/** 12345 as "12.345" or "12,345"; what is no number as a dash. */
export const number = (value) => (Number.isFinite(value) ? numbers.format(value) : "–");

/** Whole đồng: "75.000 đ". */
export const money = (vnd) => (Number.isFinite(vnd) ? `${numbers.format(vnd)} đ` : "–");

/** Shorter, where room is scarce: "1,2 tr", "350 k". */
export function moneyShort(vnd) {
  if (Math.abs(vnd) >= 1e6) return t("common.million", { n: oneDecimal.format(vnd / 1e6) });
  if (Math.abs(vnd) >= 1e3) return t("common.thousand", { n: oneDecimal.format(vnd / 1e3) });
  return numbers.format(vnd);
}

/** The site's clock at `ms` (Unix ms): "09:31". */
export const timeOfDay = (ms) => clockFormat("time", { hour: "2-digit", minute: "2-digit" }).format(ms);

/** "09:31:05". */
export const timeToSecond = (ms) =>
  clockFormat("seconds", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);

/** "22/11/2026". */
export const day = (ms) => clockFormat("day", { day: "2-digit", month: "2-digit", year: "numeric" }).format(ms);

/** "09:31" of today, else "21/11 09:31"; the year if it is another one. */
export function moment(ms, nowMs = Date.now()) {
  if (!Number.isFinite(ms)) return "–";
  if (day(ms) === day(nowMs)) return timeOfDay(ms);
  const sameYear = day(ms).slice(-4) === day(nowMs).slice(-4);
  const date = sameYear ? day(ms).split("/").slice(0, 2).join("/") : day(ms);
  return `${date} ${timeOfDay(ms)}`;
}

/** "22/11/2026 09:31:05". */
export const moment_full = (ms) => (Number.isFinite(ms) ? `${day(ms)} ${timeToSecond(ms)}` : "–");

/** How long: "45 giây", "3 phút", "1 giờ 31 phút", "2 ngày 4 giờ". Never below 0. */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t("common.seconds", { n: seconds });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t("common.minutes", { n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    const rest = minutes % 60;
    return rest === 0 ? t("common.hours", { n: hours }) : t("common.hours_minutes", { n: hours, m: rest });
  }
  const rest = hours % 24;
  const days = number(Math.floor(hours / 24));
  return rest === 0 ? t("common.days", { n: days }) : t("common.days_hours", { n: days, m: rest });
}

/** "3 phút trước"; under 5 s "vừa xong". */
export function ago(ms, nowMs = Date.now()) {
  const past = nowMs - ms;
  return past < 5000 ? t("common.just_now") : t("common.ago", { age: duration(past) });
}

/** A time as the server writes it, `2026-11-22 16:06:56` on the site's clock: the day only if it is another one. */
export function siteTime(text) {
  const [date, time] = text.split(" ");
  const [y, m, d] = date.split("-");
  const today = day(Date.now()).split("/").map((part) => part.padStart(2, "0")).join("/");
  return `${d}/${m}/${y}` === today ? time.slice(0, 5) : `${d}/${m}/${y} ${time.slice(0, 5)}`;
}

/** The site's clock at `ms` as the server reads and writes it: `2026-11-22 16:06:56`. */
export const serverTime = (ms) => `${day(ms).split("/").map((part) => part.padStart(2, "0")).reverse().join("-")} ${timeToSecond(ms)}`;

/** The day at `ms` as the server writes it: `2026-11-22`. */
export const serverDay = (ms) => serverTime(ms).slice(0, 10);

/** A day as the server writes it, `2026-11-22`. */
export const calendarDay = (text) => (/^\d{4}-\d{2}-\d{2}$/.test(text) ? text.split("-").reverse().join("/") : text);

/** How long a stay was, as the server writes it (`1 giờ 31 phút`), in the language of the page. */
export function stayText(text) {
  const [hours, minutes] = (text.match(/\d+/g) ?? []).map(Number);
  if (!Number.isFinite(minutes)) return text;
  return hours === 0 && minutes === 0 ? t("common.under_a_minute") : duration((hours * 60 + minutes) * 60_000);
}

/** Milliseconds of a round trip or an offset: "0,4 ms", "12 ms", "1,5 s". */
export function milliseconds(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (Math.abs(ms) >= 1000) return t("common.short_seconds", { n: oneDecimal.format(ms / 1000) });
  return t("common.short_milliseconds", { n: oneDecimal.format(ms) });
}
