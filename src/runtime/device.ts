import type { Device } from './protocol.ts';

export const deviceRequests = ['auto', 'cpu', 'webgpu'] as const;

/** What a user can ask for; `auto` means: WebGPU where there is an adapter, and the CPU elsewhere. */
export type DeviceRequest = (typeof deviceRequests)[number];

/** The device that programs run on. */
export interface DeviceChoice {
  readonly requested: DeviceRequest;
  readonly chosen: Device;
  /** Why it was chosen: a sentence for people. */
  readonly reason: string;
}
