import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'web/src/**/*.test.ts'],
    // ONNX Runtime holds two threads a session; more test workers than this only wait for each other.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    // Tests that use ONNX Runtime directly must not call home either.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    reporters: ['default', './test/count-reporter.ts'],
  },
});
