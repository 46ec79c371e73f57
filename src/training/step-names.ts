/** Names of what a training leaves in its stage's folder. */

/** JSON Lines of what was measured. */
export const metricsFile = 'metrics.jsonl';
/** Folder of the sheets of preview pictures. */
export const previewFolder = 'previews';

/** What belongs to a step: steps in the order of names. */
export function stepName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

export function previewName(step: number): string {
  return `${stepName(step)}.png`;
}

/** The step of a preview sheet's name, if it is one. */
export function previewStep(name: string): number | undefined {
  const step = Number(/^step-(\d+)\.png$/.exec(name)?.[1]);
  return name === previewName(step) ? step : undefined;
}
