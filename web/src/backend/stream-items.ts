/** What comes out of a stream, one by one; leaving the loop early cancels it. Safari cannot loop over streams itself. */
export async function* itemsOf<Item>(stream: ReadableStream<Item>): AsyncGenerator<Item, void, void> {
  const reader = stream.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
