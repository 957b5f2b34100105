// The Chinese pages have the theme and the figures of the English ones. Here are the words by which one uses
// them, in Chinese; what a figure says and shows stays as it is.
(() => {
  const WORDS = {
    // the theme
    "Skip to main content": "跳到正文", "Back to top": "回到顶部", "Search": "搜索", "Search this book...": "搜索本书……",
    "Main": "主导航", "Page": "本页", "Language": "语言", "pages below": "展开下级页面", "Version warning": "版本提示",
    "Toggle primary sidebar": "显示或隐藏左侧栏", "Toggle secondary sidebar": "显示或隐藏右侧栏", "Contents": "本页内容",
    "Table of contents": "目录", "previous": "上一页", "next": "下一页", "previous page": "上一页", "next page": "下一页",
    "Launch interactive content": "在别处运行本页", "Launch on Colab": "在 Colab 中打开", "Source repositories": "代码库",
    "Repository": "代码库", "Source repository": "代码库", "Open issue": "报告问题", "Open an issue": "报告问题",
    "Download this page": "下载本页", "Download source file": "下载 notebook", "Print to PDF": "打印为 PDF",
    "Fullscreen mode": "全屏", "Color mode": "颜色模式", "Light": "浅色", "Dark": "深色", "System Settings": "跟随系统",
    "Link to this heading": "本节的链接", "Toggle hidden content": "展开或收起", "Index": "索引",
    "Chapters": "各章（英文）", "How to": "操作指南（英文）", "Laboratory": "实验室（英文）", "Methods": "方法（英文）",
    "Reference": "参考（英文）",
    // figures
    "Play": "播放", "Pause": "暂停", "Reset": "复原", "As text": "文字版", "recorded": "录制", "one step back": "后退一步",
    "one step on": "前进一步", "That is my guess": "这是我的猜测", "Skip": "跳过",
    // what figures can be set to
    "stage": "阶段", "epoch": "轮次", "batch": "批次", "step": "步", "class": "类别", "order": "顺序", "moment": "时刻",
    "images": "图像", "images n": "图像 n", "exemplars": "样例", "exemplars m": "样例 m", "budget": "预算",
    "exemplars of each class": "每类样例", "random choice": "随机选择", "chosen": "选法", "by herding": "用 herding",
    "at random": "随机", "Add a point": "添加一个点", "Remove a point": "去掉一个点", "learning rate": "学习率", "angle": "角度", "features, length": "特征，长度",
    "old, length": "旧，长度", "new, length": "新，长度", "classes in each": "每个阶段的类别数",
    "classes in the first stage, 0: like the others": "第一个阶段的类别数，0：与其他阶段相同",
    "seed of the order": "顺序的随机种子", "as they are": "原来的顺序", "align": "对齐",
  };
  const SENTENCES = [
    [/^seed (\d+)$/, "随机种子 $1"],
    [/^What accuracy do you expect of (.+) at the end, on all (\d+) classes\?$/, "学完全部 $2 个类别之后，你预期 $1 的准确率是多少？"],
    [/^What accuracy do you expect at the end, on all (\d+) classes\?$/, "学完全部 $1 个类别之后，你预期准确率是多少？"],
    [/^You expect (\S+) %\.$/, "你的预期：$1 %。"],
    [/^You expected (\S+) %: (\S+) points too low\.$/, "你的预期是 $1 %，低了 $2 个点。"],
    [/^You expected (\S+) %: (\S+) points too high\.$/, "你的预期是 $1 %，高了 $2 个点。"],
  ];
  const OURS = "button, label, option, summary, small, .prev-next-subtitle, .tocsection, .onlyprint, .caption-text, .bd-sidebar-secondary h2, .skip-link, #pst-skip-link";
  const NAMES = ["title", "placeholder", "aria-label", "data-bs-title"];

  const chinese = (words) => {
    if (Object.hasOwn(WORDS, words)) return WORDS[words];
    const [english, ours] = SENTENCES.find(([sentence]) => sentence.test(words)) ?? [];
    return english ? words.replace(english, ours) : words;
  };
  const translate = (part) => {
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode, words = node.data.trim();
      if (chinese(words) !== words) node.data = node.data.replace(words, chinese(words));
    }
  };
  document.querySelectorAll(OURS).forEach(translate);
  for (const name of NAMES) {
    for (const part of document.body.querySelectorAll(`[${name}]`)) {
      const words = part.getAttribute(name);
      if (chinese(words) !== words) part.setAttribute(name, chinese(words));
    }
  }
  // A film's script changes the word on its button, and what it says of a guess.
  const again = new MutationObserver((changes) => changes.forEach(({ target }) => translate(target)));
  document.querySelectorAll(".cil-play, .cil-guess").forEach((part) => again.observe(part, { childList: true }));
})();
