/** A binary heap of pairs by count: the largest count first, of equal counts the smallest key. */
export interface QueuedPair {
  readonly count: number;
  readonly key: number;
}

export class PairQueue {
  readonly #heap: QueuedPair[] = [];

  push(count: number, key: number): void {
    const heap = this.#heap;
    const item = { count, key };
    let place = heap.push(item) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(item, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = item;
  }

  /** Takes the first out; undefined when there is none. */
  pop(): QueuedPair | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return first;
    let place = 0;
    while (true) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

function before(a: QueuedPair, b: QueuedPair): boolean {
  return a.count > b.count || (a.count === b.count && a.key < b.key);
}
