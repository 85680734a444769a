document.documentElement.style.setProperty("--age", Math.max(0, (Date.now() - Date.parse(document.documentElement.dataset.made)) / 1000) + "s")
