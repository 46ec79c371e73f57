/** Names of options where people and other programs write them, in requests and in the studio: `top_k` for `topK`. */

/** Options that have a name of OpenAI's. */
const known: Readonly<Record<string, string>> = { maxNewTokens: 'max_completion_tokens' };
const knownOptions = Object.fromEntries(Object.entries(known).map(([option, field]) => [field, option]));

export function fieldNameOf(option: string): string {
  return Object.hasOwn(known, option) ? known[option]! : snakeCase(option);
}

export function optionNameOf(field: string): string {
  return Object.hasOwn(knownOptions, field) ? knownOptions[field]! : camelCase(field);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
