/** Things of one kind, which are taken for each other and expected beside each other: POPE's adversarial negatives. */

const families: readonly (readonly string[])[] = [
  ['person', 'backpack', 'umbrella', 'handbag', 'suitcase'],
  ['bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat', 'traffic light', 'stop sign'],
  ['bird', 'cat', 'dog', 'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe'],
  ['frisbee', 'skis', 'sports ball', 'kite', 'skateboard', 'teddy bear'],
  ['bottle', 'wine glass', 'cup', 'knife', 'spoon', 'bowl'],
  ['banana', 'apple', 'sandwich', 'orange', 'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake'],
  ['chair', 'couch', 'potted plant', 'bed', 'toilet', 'vase', 'toothbrush'],
  ['tv', 'laptop', 'computer mouse', 'computer keyboard', 'cell phone', 'book', 'clock', 'scissors'],
];

const familyOf = new Map(families.flatMap((family) => family.map((name) => [name, family] as const)));

/** The other things of the class's kind; none for a class that the world does not have. */
export function companionsOf(name: string): string[] {
  return (familyOf.get(name) ?? []).filter((other) => other !== name);
}
