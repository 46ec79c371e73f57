/**
 * Exponential moving average, corrected for its start as Adam corrects its moments (arXiv 1412.6980, section 3). Values that
 * are not finite stay what they are and leave the average alone.
 * @param weight of the past, 0 to below 1; 0 changes nothing
 */
export function smooth(values: readonly number[], weight: number): number[] {
  let average = 0;
  let share = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    average = weight * average + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return average / share;
  });
}

/** Indices of about `count` points that keep the line's look: of each stretch the lowest and the highest. */
export function thin(values: readonly number[], count: number): number[] {
  if (values.length <= count) return values.map((_, index) => index);
  const stretch = Math.ceil((2 * values.length) / count);
  const kept: number[] = [];
  for (let start = 0; start < values.length; start += stretch) {
    let low = start;
    let high = start;
    for (let i = start + 1; i < Math.min(values.length, start + stretch); i++) {
      if (values[i]! < values[low]!) low = i;
      if (values[i]! > values[high]!) high = i;
    }
    kept.push(...(low === high ? [low] : [Math.min(low, high), Math.max(low, high)]));
  }
  return kept;
}
