/**
 * Keeps ONNX Runtime from sending usage data to Microsoft, and from leaving a device number in the user's cache folder,
 * as 1.30 for Linux does by default. Whoever wants it sets `ORT_DISABLE_TELEMETRY=0`, which is respected.
 *
 * Must run on the main thread before the library is loaded anywhere in the process: the library reads the environment of
 * the process, of which a worker thread has only a copy.
 */
export function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
}
