/** Bytes as text of one character each. Not `TextDecoder('latin1')`, which reads Windows-1252. Short texts only. */
export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
