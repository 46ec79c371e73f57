/** The stretch of a setting's range that is worth a slider; the field beside it takes the whole range. */
import { accepts, type NumberSetting } from '../backend/model-description.ts';

interface SliderRange {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** What is useful in practice of ranges that are wide to be safe. */
const useful: Readonly<Record<string, SliderRange>> = {
  guidance: { from: 1, to: 10, step: 0.1 },
  top_p: { from: 0.05, to: 1, step: 0.05 },
  temperature: { from: 0, to: 2, step: 0.05 },
  reasoning_temperature: { from: 0, to: 2, step: 0.05 },
  repetition_penalty: { from: 1, to: 2, step: 0.05 },
  diffusion_guidance: { from: 1, to: 10, step: 0.1 },
  image_guidance: { from: 1, to: 5, step: 0.05 },
  vq_guidance: { from: 0, to: 5, step: 0.05 },
};

export function sliderOf(name: string, setting: NumberSetting): SliderRange | undefined {
  const range = Object.hasOwn(useful, name) ? useful[name] : undefined;
  return range && accepts(setting, range.from) && accepts(setting, range.to) ? range : undefined;
}
