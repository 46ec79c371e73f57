/** Symbols of `using` declarations, which Safari does not have yet; the compiled code asks for them. Imported first. */
for (const name of ['dispose', 'asyncDispose'] as const) {
  if (Symbol[name] === undefined) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
}
