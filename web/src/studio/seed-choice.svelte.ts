/** The seed that the next picture will have. */
export class SeedChoice {
  value = $state(randomSeed());
  locked = $state(false);

  roll(): void {
    this.value = randomSeed();
  }

  /** The seeds of `count` pictures; then a new one is rolled, unless it is locked. */
  take(count: number): number[] {
    const seeds = Array.from({ length: count }, (_, index) => this.value + index);
    if (!this.locked) this.roll();
    return seeds;
  }

  reuse(seed: number): void {
    this.value = seed;
    this.locked = true;
  }
}

/** Short enough to be read out; the model takes any whole number. */
function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000;
}
