// @ts-check
/** A dialog that takes pictures with the camera. */

import { h, icon } from "./dom.js";
import { t } from "./words.js";

/**
 * Show the camera; `taken` hears each picture.
 * @param {(file: File) => void} taken
 */
export async function openCamera(taken) {
  const video = h("video", { autoplay: true, muted: true, playsinline: "", tLabel: "camera.view" });
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const shutter = h("button", { type: "button", class: "primary large", disabled: true }, icon("camera"), h("span", { t: "camera.take" }));
  const turn = h("button", { type: "button", class: "large", hidden: true }, icon("reset"), h("span", { t: "camera.turn" }));
  // A phone's own camera app takes better pictures than a stream of its screen.
  const own = h("input", { type: "file", accept: "image/*", capture: "environment", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const close = h("button", { type: "button", class: "plain", tLabel: "close", onclick: () => dialog.close() }, icon("close"));
  const dialog = h("dialog", { class: "camera", tLabel: "camera.title" },
    h("header", null, h("h2", { t: "camera.title" }), close),
    h("div", { class: "finder" }, video, trouble),
    h("div", { class: "row" }, shutter, turn, own));
  let facing = "environment";
  /** @type {MediaStream | null} */
  let stream = null;
  const stop = () => stream?.getTracks().forEach((track) => track.stop());
  const finish = (file) => {
    dialog.close();
    taken(file);
  };
  const start = async () => {
    stop();
    const size = { width: { ideal: 4096 }, height: { ideal: 2160 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, ...size } });
    if (!dialog.open) return stop();
    video.srcObject = stream;
    await video.play();
    shutter.disabled = false;
  };
  shutter.addEventListener("click", async () => finish(await still(video)));
  turn.addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    start().catch(() => {});
  });
  own.addEventListener("change", () => own.files[0] && finish(own.files[0]));
  dialog.addEventListener("close", () => {
    stop();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  try {
    await start();
    const devices = await navigator.mediaDevices.enumerateDevices();
    turn.hidden = devices.filter(({ kind }) => kind === "videoinput").length < 2;
  } catch (error) {
    trouble.textContent = t(troubleOf(error));
    trouble.hidden = false;
    video.hidden = shutter.hidden = true;
    if (matchMedia("(pointer: coarse)").matches) own.click();
  }
}

function troubleOf(error) {
  if (!navigator.mediaDevices) return "camera.insecure";
  return { NotAllowedError: "camera.refused", NotFoundError: "camera.none" }[error.name] ?? "camera.busy";
}

/** What `video` shows, as a file. */
async function still(video) {
  const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  const time = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "-");
  return new File([blob], `camera ${time}.jpg`, { type: "image/jpeg" });
}
