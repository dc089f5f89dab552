// @ts-check
/** The page's words in its languages. */

const WORDS = {
  en: {
    other: "中文",
    "drop.title": "Drop a picture here",
    "drop.lead": "or paste it. Its background is removed in your browser.",
    "drop.pick": "Choose a picture",
    "drop.private": "No picture leaves your machine. Works offline after the first visit.",
    compare: "Original",
    background: "Background",
    none: "Transparent",
    white: "White",
    black: "Black",
    own: "A colour of your own",
    another: "Another picture",
    copy: "Copy",
    save: "Download PNG",
    copied: "Copied.",
    "copy.failed": "The browser did not allow copying. Download the picture instead.",
    "load.done": "Ready",
    "load.part": "Loading the network: {done} of {all} MB",
    "load.open": "Loading the network: {done} MB",
    "load.failed": "The network could not be loaded ({why}). Reload the page.",
    working: "Removing the background…",
    done: "Done in {seconds} s.",
    smaller: "Done in {seconds} s. The picture of {was} MP was made smaller: {now} MP.",
    empty: "Done, but the network sees no subject in this picture.",
    "bad.empty": "The file is empty.",
    "bad.large": "The file is larger than 200 MB.",
    "bad.heic": "This is a HEIC photo, which this browser cannot open. Save it as JPEG first: on an iPhone, Settings > Camera > Formats > Most Compatible.",
    "bad.kind": "This browser cannot open the file as a picture. JPEG, PNG, WebP and AVIF work.",
    "bad.run": "This picture could not be cut out ({why}). Try a smaller one.",
  },
  zh: {
    other: "English",
    "drop.title": "把图片拖到这里",
    "drop.lead": "也可以直接粘贴。背景在您的浏览器中去除。",
    "drop.pick": "选择图片",
    "drop.private": "图片不会离开您的设备。首次访问后可离线使用。",
    compare: "原图",
    background: "背景",
    none: "透明",
    white: "白色",
    black: "黑色",
    own: "自选颜色",
    another: "换一张",
    copy: "复制",
    save: "下载 PNG",
    copied: "已复制。",
    "copy.failed": "浏览器不允许复制。请改为下载图片。",
    "load.done": "已就绪",
    "load.part": "正在加载模型：{done} / {all} MB",
    "load.open": "正在加载模型：{done} MB",
    "load.failed": "模型加载失败（{why}）。请刷新页面。",
    working: "正在去除背景…",
    done: "完成，用时 {seconds} 秒。",
    smaller: "完成，用时 {seconds} 秒。原图 {was} 百万像素，已缩小为 {now} 百万像素。",
    empty: "已完成，但模型在这张图片里没有找到主体。",
    "bad.empty": "文件是空的。",
    "bad.large": "文件超过 200 MB。",
    "bad.heic": "这是 HEIC 照片，此浏览器无法打开。请先存为 JPEG：iPhone 可在“设置 > 相机 > 格式”中选择“兼容性最佳”。",
    "bad.kind": "此浏览器无法将该文件作为图片打开。支持 JPEG、PNG、WebP 和 AVIF。",
    "bad.run": "这张图片处理失败（{why}）。请换一张小一些的试试。",
  },
};

let current = kept() ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** The words of `key`, `{name}` replaced. @param {string} key @param {Record<string, any>} [values] */
export function t(key, values = {}) {
  return (WORDS[current][key] ?? key).replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
}

/** Write the words into the page. */
export function speak() {
  document.documentElement.lang = current === "zh" ? "zh-Hans" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.getAttribute("data-t"));
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.getAttribute("data-label")));
  for (const node of document.querySelectorAll("[data-title]")) {
    const said = t(node.getAttribute("data-title"));
    node.parentElement.title = said;
    node.previousElementSibling.setAttribute("aria-label", said);
  }
}

/** The other language from now on, remembered. */
export function switchLanguage() {
  current = current === "zh" ? "en" : "zh";
  try {
    localStorage.setItem("cleancut.language", current);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

function kept() {
  try {
    const code = localStorage.getItem("cleancut.language");
    return code && code in WORDS ? code : null;
  } catch {
    return null;
  }
}
