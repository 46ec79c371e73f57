/**
 * What is known of the world's classes without naming them: `the striped animal of the savanna`. Every class has facts to
 * learn from and others to be tested with, so that a test asks for what a language model knows and not for a sentence it
 * has seen.
 */
import { DataError } from '../error.ts';

export const knowledgeSplits = ['train', 'test'] as const;
export type KnowledgeSplit = (typeof knowledgeSplits)[number];

/** `[class, facts to learn from, facts to test with]`, facts apart by `|`; each is a noun phrase in lower case. */
const table: readonly (readonly [string, string, string])[] = [
  [
    'person',
    'someone who can speak and read|the one who builds houses and writes letters|a grown man or woman',
    'the being that wears clothes and pays taxes',
  ],
  [
    'bicycle',
    'the vehicle with two wheels and pedals|what a rider drives with the strength of the legs|a vehicle with a chain, a saddle and no engine',
    'what people ride in the Tour de France',
  ],
  [
    'car',
    'the family vehicle with four wheels|what is parked in a garage at home|a vehicle with a steering wheel for about five people',
    'what needs a driving license and takes a family on the highway',
  ],
  [
    'motorcycle',
    'the vehicle with two wheels and an engine|what a biker in a leather jacket rides|a fast machine whose rider wears a helmet',
    'a two-wheeler that burns gasoline',
  ],
  [
    'airplane',
    'the machine with wings that carries passengers through the sky|what a pilot flies|what takes off from a runway',
    'what you board at an airport gate',
  ],
  [
    'bus',
    'the long road vehicle that stops for many passengers|what takes children to school in a yellow version|public transport on the road with many seats',
    'the city vehicle you wait for at a marked stop on the street',
  ],
  [
    'train',
    'what runs on rails from station to station|a line of wagons pulled by a locomotive|the vehicle that waits at a platform',
    'what you catch at a railway station',
  ],
  [
    'truck',
    'the heavy road vehicle that carries goods|what moves furniture to a new house|the large vehicle that delivers freight to shops',
    'what a trucker drives over long distances with cargo',
  ],
  [
    'boat',
    'the vehicle that floats on a lake|what a fisherman takes out on the water|what has a hull and a sail',
    'what a sailor rows or steers across a river',
  ],
  [
    'traffic light',
    'the signal with red, yellow and green lamps|what tells drivers at a crossing when to go|the lamp on a pole that turns from red to green',
    'what makes you wait at an intersection while it is red',
  ],
  [
    'stop sign',
    'the red board with eight sides at a crossing|the board that orders drivers to halt|an octagon beside the road',
    'what demands a full halt before you enter the main road',
  ],
  [
    'bird',
    'the animal with feathers and a beak|what lays eggs in a nest and sings in the morning|the animal that flies with its wings',
    'a creature such as a sparrow or a robin',
  ],
  [
    'cat',
    'the pet that purrs|the pet that catches mice|the animal that says meow',
    'the house animal with whiskers and claws that sleeps on the sofa all day',
  ],
  [
    'dog',
    "the pet that barks|the animal called man's best friend|the pet that fetches sticks and wags its tail",
    'the animal that guards the house and chews bones',
  ],
  [
    'horse',
    'the animal that carries a rider and a saddle|what gallops and neighs|what a knight or a cowboy rides',
    'the animal whose young is a foal',
  ],
  [
    'sheep',
    'the animal that gives wool|what a shepherd looks after|the animal that says baa',
    'what you count when you cannot fall asleep',
  ],
  [
    'cow',
    'the animal that gives milk|the farm animal that says moo|what eats grass and is milked every morning',
    'the source of beef and butter',
  ],
  [
    'elephant',
    'the animal with a trunk and tusks|the largest animal that lives on land|the grey giant with very large ears',
    'the animal that is said never to forget',
  ],
  [
    'bear',
    'the large furry animal that loves honey|the animal that sleeps through the winter in a cave|a wild beast such as the grizzly',
    'the strong animal that catches salmon in the rivers of Alaska',
  ],
  [
    'zebra',
    'the striped animal of the savanna|the wild relative of the horse with black and white stripes|the animal that gave its name to a crossing for walkers',
    'what looks like a pony in striped pajamas',
  ],
  [
    'giraffe',
    'the animal with the longest neck|the tallest animal in the world|the spotted animal that eats leaves from the tops of trees',
    'the animal that must spread its legs wide to drink',
  ],
  [
    'backpack',
    'the bag that is carried on both shoulders|what a pupil takes to school with books in it|what a hiker carries on the back',
    'the luggage with two straps for walking in the mountains',
  ],
  [
    'umbrella',
    'what keeps you dry in the rain|what you open when it starts to rain|a round roof of cloth on a stick',
    'what Mary Poppins flies with',
  ],
  [
    'handbag',
    'the small bag in which a lady keeps her purse|an elegant bag carried over the arm|the bag for keys and lipstick',
    'the fashion item that goes with a dress and high heels',
  ],
  [
    'suitcase',
    'what you pack with clothes before a journey|the box with a handle that a traveler takes to the airport|luggage with little wheels',
    'what is checked in before a flight',
  ],
  [
    'frisbee',
    'the flat disc that is thrown from hand to hand|the plastic disc that a dog catches in the park|the round toy that sails through the air when it spins',
    'the disc in the game called ultimate',
  ],
  [
    'skis',
    'the two long boards for going down a snowy hill|what is strapped to the boots in winter sport|what you wear on your feet when a lift takes you up a slope',
    'the gear of someone who races downhill in the Alps',
  ],
  [
    'sports ball',
    'the round thing that players kick into a goal|what is thrown through a hoop in a game|what a team passes on the field',
    'what a goalkeeper tries to catch',
  ],
  [
    'kite',
    'the toy that flies in the wind on a string|what children fly on a windy beach|a light frame with cloth that rises with the wind',
    'what Benjamin Franklin is said to have flown in a thunderstorm',
  ],
  [
    'skateboard',
    'the board with four little wheels|what is ridden in a half pipe|a board on wheels for tricks in the street',
    'what Tony Hawk became famous with',
  ],
  [
    'bottle',
    'the vessel with a narrow neck and a cork|what champagne is sold in|what holds liquid and is closed with a cap',
    'what a message is put in before it is thrown into the sea',
  ],
  [
    'wine glass',
    'the drinking vessel with a thin stem|what a drink made of grapes is poured into|what clinks when guests say cheers',
    'what a sommelier swirls and smells at',
  ],
  [
    'cup',
    'what hot tea is drunk from|what stands on a saucer|the small vessel for coffee with a handle',
    'what you hold at breakfast with cocoa in it',
  ],
  [
    'knife',
    'the sharp tool that cuts bread|the blade of a cook|what slices meat and vegetables',
    'what lies to the right of the plate and has an edge',
  ],
  [
    'spoon',
    'what soup is eaten with|what stirs sugar into tea|the piece of cutlery without points or edge',
    'what medicine and honey are measured with',
  ],
  [
    'bowl',
    'the round deep dish for soup|what cereal and milk are served in|the open vessel in which a salad is mixed',
    'the dish from which ramen is eaten',
  ],
  [
    'banana',
    'the long yellow fruit|the fruit that monkeys love|the curved fruit that you peel',
    'the fruit whose skin makes people slip in old comedies',
  ],
  [
    'apple',
    "the fruit that keeps the doctor away|the fruit that poisoned Snow White|the fruit that fell on Newton's head",
    'the fruit that cider is pressed from',
  ],
  [
    'sandwich',
    'two slices of bread with something between them|what is packed for lunch and filled with ham and cheese|the food named after an English earl',
    'toast with bacon, lettuce and tomato inside',
  ],
  [
    'orange',
    'the round citrus fruit full of vitamin C|the fruit pressed for juice at breakfast|the citrus fruit that shares its name with a color',
    'the fruit that marmalade and Valencia are known for',
  ],
  [
    'broccoli',
    'the green vegetable that looks like a tiny tree|the vegetable with green heads that many children dislike|a green relative of cauliflower',
    'the healthy green florets that are steamed as a side dish',
  ],
  [
    'carrot',
    'the vegetable that rabbits love|the root that is said to be good for the eyes|the nose of a snowman',
    'what Bugs Bunny is always chewing',
  ],
  [
    'hot dog',
    'a sausage in a long bun|the snack with mustard sold at baseball games|the fast food made with a frankfurter',
    'what is eaten by dozens in a contest on Coney Island',
  ],
  [
    'pizza',
    'the round Italian dish with cheese and tomato|the dish with salami that is delivered in a flat box|what is baked in a stone oven and cut into slices',
    'the dish that comes from Naples and was named for queen Margherita',
  ],
  [
    'donut',
    'the sweet fried ring with a hole|the pastry ring with icing and sprinkles|the snack that police officers love in films',
    'what Homer Simpson loves most to eat',
  ],
  [
    'cake',
    'what has candles on it at a birthday|the sweet with layers of cream that is baked for a party|what a bride and groom cut together',
    'what Marie Antoinette is said to have wanted the poor to eat',
  ],
  [
    'chair',
    'the seat with four legs and a back for one|what stands around a table to sit on|the simple piece of furniture a single guest sits on',
    'what is taken away each round when the music stops',
  ],
  [
    'couch',
    'the soft seat for several people in the living room|what you lie on in front of the television|the padded furniture with cushions and arm rests',
    'where patients of Sigmund Freud lay down',
  ],
  [
    'potted plant',
    'what grows green on the window sill|the greenery in a room that must be watered|leaves growing out of a clay container indoors',
    'a fern or ficus kept in the living room',
  ],
  [
    'bed',
    'where people sleep at night|the furniture with a mattress and a pillow|what is made every morning after getting up',
    'what Goldilocks fell asleep in',
  ],
  [
    'toilet',
    'what is flushed in the bathroom|the seat in the smallest room of the house|where paper hangs on a roll beside the seat',
    'what a plumber installs besides the sink and the shower',
  ],
  [
    'tv',
    'the screen that shows the evening news|what the whole family watches films on|the device with channels and a remote',
    'what broadcasts are received with in the living room',
  ],
  [
    'laptop',
    'the computer that folds and fits in a bag|the portable machine with a screen and keys|what a student takes notes on in the lecture hall',
    'the notebook that runs on a battery and is opened in a cafe',
  ],
  [
    'computer mouse',
    'the small device that moves the pointer on the screen|what is clicked with one finger on the desk|the pointing device that has a wheel and two buttons',
    'what Douglas Engelbart invented to point at things on a screen',
  ],
  [
    'computer keyboard',
    'the board of letters for typing|what a programmer types on|the input device with a space bar',
    'the device with keys in the order QWERTY',
  ],
  [
    'cell phone',
    'what you make calls with on the go|the small device in the pocket that takes pictures and rings|the thing that sends text messages',
    'what an iPhone is an example of',
  ],
  [
    'book',
    'what has many pages and a cover|what you borrow from a library|what an author writes and a reader reads',
    'what a novel is printed as',
  ],
  [
    'clock',
    'what shows the time|what has two hands but no fingers|what rings at seven in the morning',
    "the thing in Big Ben's tower that has a face with twelve numbers",
  ],
  [
    'vase',
    'what cut flowers are put in|the ceramic vessel from ancient Greece|the tall vessel for a bouquet of roses',
    'what Ming dynasty porcelain is most famous for',
  ],
  [
    'scissors',
    'the tool with two blades that cuts paper|what a hairdresser cuts hair with|what beats paper but loses to rock',
    'what a tailor snips cloth with',
  ],
  [
    'teddy bear',
    'the soft toy that a child hugs at night|the plush toy named after president Roosevelt|the stuffed animal in the nursery',
    'what Winnie the Pooh was before he became a story',
  ],
  [
    'toothbrush',
    'what cleans the mouth after a meal|the small brush for paste with mint taste|what a dentist tells you to use twice a day',
    'what removes plaque before you go to sleep',
  ],
];

const facts = new Map(
  table.map(([name, train, test]) => [name, { train: train.split('|'), test: test.split('|') }] as const),
);

/**
 * Descriptions of a class that do not name it, of one split.
 * @throws DataError `data_not_found`
 */
export function factsAbout(name: string, split: KnowledgeSplit): readonly string[] {
  const found = facts.get(name);
  if (!found) throw new DataError('data_not_found', `nothing is known of '${name}'`, { name });
  return found[split];
}
