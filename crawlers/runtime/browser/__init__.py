"""Pages that need JavaScript, rendered by Chromium. docs/browser.md tells a source's author what to write."""
