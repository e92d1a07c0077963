/* Games as text: every language has a word of tokens for each move. */

class Language {
  /* content: {name, words: [token ids of every move]}; index: its number among the languages. */
  constructor(content, index) {
    Object.assign(this, {index, name: content.name, words: content.words, own: new Set(content.words.flat())});
    this.root = new Map();
    content.words.forEach((word, move) => {
      let node = this.root;
      for (const token of word.slice(0, -1)) {
        if (!node.has(token)) node.set(token, new Map());
        node = node.get(token);
      }
      node.set(word[word.length - 1], move);
    });
  }

  write(moves) {
    return moves.flatMap(move => this.words[move]);
  }
}

/* The tokens that several languages write. */
function sharedTokens(languages) {
  const writers = new Map();
  for (const {own} of languages) for (const token of own) writers.set(token, (writers.get(token) || 0) + 1);
  return new Set([...writers].filter(([, n]) => n > 1).map(([token]) => token));
}
