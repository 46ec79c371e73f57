import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // ONNX Runtime holds two threads a session; more test workers than this only wait for each other.
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/count-reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'units',
          include: ['src/**/*.test.ts', 'web/src/**/*.test.ts'],
          // A third of their time would go into importing the same modules for each file.
          isolate: false,
        },
      },
      {
        extends: true,
        test: { name: 'whole', include: ['test/**/*.test.ts'], globalSetup: 'test/shared-builds-setup.ts' },
      },
    ],
    testTimeout: 60_000,
    // Tests that use ONNX Runtime directly must not call home either.
    env: { ORT_DISABLE_TELEMETRY: '1' },
  },
});
