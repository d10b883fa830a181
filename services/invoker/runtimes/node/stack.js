'use strict';
// Stacks as an author sees them: frames of their own code and of the engine, none of ours, of Node.js or of the host.

const ELSEWHERE = /^\s+at (?:runMicrotasks|(?:.*\()?(?:async )?(?:node:|file:|\/(?!function\/))[^()]*:\d+:\d+)/;
const FRAME = /\n\s+at /;

function withoutOurFrames(text) {
  if (!FRAME.test(text)) return text;
  const kept = [];
  for (const line of text.split('\n')) {
    if (!ELSEWHERE.test(line)) kept.push(line);
    else if (line.endsWith(' {') && kept.length > 0) kept[kept.length - 1] += ' {'; // `util.inspect` opens the properties there
  }
  return kept.join('\n');
}

module.exports = { withoutOurFrames };
