// The catalogue: every kind of product in three makes and four variants, each with an id,
// a name and a price that are the same in every run.

#include "catalogue.h"

#include <assert.h>
#include <stdio.h>

#define MAKES 3
#define VARIANTS 4
#define FIRST_ID 1001    // the small numbers are left to examples typed by hand
#define MOST_POPULAR 240 // where in the catalogue: a mug

// Named "<make> <noun>, <variant>". The price, in cents, is that of the first make in its
// first variant; the later ones cost more.
struct kind {
    unsigned price;
    const char *noun;
    const char *make[MAKES];
    const char *variant[VARIANTS];
};

// clang-format off
static const struct kind kinds[] = {
    {46700, "Laptop", {"Lightweight", "Business", "Gaming"},
     {"13 inch, 8 GB", "14 inch, 16 GB", "16 inch, 32 GB", "17 inch, 64 GB"}},
    {14900, "Monitor", {"Office", "Curved", "Colour-true"},
     {"24 inch", "27 inch", "32 inch", "34 inch, wide"}},
    {2400, "Keyboard", {"Quiet", "Mechanical", "Split"},
     {"compact", "full size", "wireless", "wireless, backlit"}},
    {1200, "Mouse", {"Optical", "Vertical", "Left-handed"},
     {"wired", "wireless", "rechargeable", "rechargeable, silent"}},
    {3900, "Headphones", {"On-ear", "Over-ear", "Noise-cancelling"},
     {"wired", "wireless", "wireless, foldable", "studio"}},
    {900, "USB-C Cable", {"Braided", "Flat", "Right-angled"},
     {"0.5 m", "1 m", "2 m", "3 m"}},
    {5200, "Solid State Drive", {"Internal", "Portable", "Shockproof"},
     {"500 GB", "1 TB", "2 TB", "4 TB"}},
    {1900, "Power Bank", {"Slim", "Rugged", "Solar"},
     {"5,000 mAh", "10,000 mAh", "20,000 mAh", "27,000 mAh"}},
    {11900, "Smartphone", {"Refurbished", "Dual-SIM", "Waterproof"},
     {"64 GB", "128 GB", "256 GB", "512 GB"}},
    {3400, "Desk Lamp", {"Brass", "Clamp-on", "Dimmable LED"},
     {"black", "white", "green", "with USB charger"}},
    {13900, "Office Chair", {"Mesh", "Leather", "Kneeling"},
     {"without arms", "with arms", "with headrest", "extra wide"}},
    {19900, "Standing Desk", {"Oak", "Walnut", "Bamboo"},
     {"120 × 60 cm", "140 × 70 cm", "160 × 80 cm", "180 × 80 cm"}},
    {100, "Pencil", {"Cedar", "Carbon", "Watercolour"},
     {"HB", "2B", "4B, soft", "8B, extra soft"}},
    {480, "Notebook", {"Ruled", "Dotted", "Squared"},
     {"A6", "A5", "A4", "A4, hardcover"}},
    {1650, "Fountain Pen", {"Steel-nib", "Lacquered", "Piston-filled"},
     {"fine", "medium", "broad", "with case"}},
    {320, "Sticky Notes", {"Yellow", "Pastel", "Transparent"},
     {"1 pad", "4 pads", "6 pads", "12 pads"}},
    {2900, "Frying Pan", {"Cast-iron", "Stainless Steel", "Copper-core"},
     {"20 cm", "24 cm", "28 cm", "32 cm"}},
    {3300, "Chef's Knife", {"Forged", "Damascus", "Ceramic"},
     {"15 cm", "18 cm", "20 cm", "25 cm"}},
    {1750, "Cutting Board", {"Beech", "Bamboo", "Walnut"},
     {"30 × 20 cm", "40 × 25 cm", "45 × 30 cm", "with juice groove"}},
    {2200, "Teapot", {"Glass", "Porcelain", "Cast-iron"},
     {"0.5 l", "0.8 l", "1.2 l", "1.5 l"}},
    {650, "Mug", {"Stoneware", "Enamel", "Double-walled"},
     {"250 ml", "330 ml", "450 ml", "set of 4"}},
    {1250, "Café au Lait Bowl", {"White", "Blue-rimmed", "Speckled"},
     {"single", "set of 2", "set of 4", "set of 6"}},
    {4800, "Coffee Grinder", {"Manual", "Electric", "Conical-burr"},
     {"30 g", "60 g", "120 g", "250 g"}},
    {24900, "Espresso Machine", {"Lever", "Semi-automatic", "Bean-to-cup"},
     {"one group", "with milk frother", "with grinder", "dual boiler"}},
    {890, "Coffee Beans", {"Ethiopian", "Colombian", "Decaffeinated"},
     {"250 g", "500 g", "1 kg", "2 kg"}},
    {420, "Green Tea", {"Sencha", "Jasmine", "Genmaicha"},
     {"20 bags", "50 bags", "loose, 100 g", "loose, 250 g"}},
    {380, "Dark Chocolate", {"Sea-salt", "Orange", "Hazelnut"},
     {"70 %, 100 g", "80 %, 100 g", "70 %, 300 g", "gift box"}},
    {760, "Olive Oil", {"Extra Virgin", "Lemon-infused", "Early-harvest"},
     {"250 ml", "500 ml", "750 ml", "1 l"}},
    {540, "Honey", {"Acacia", "Heather", "Chestnut"},
     {"250 g", "500 g", "1 kg", "in the comb"}},
    {1450, "T-Shirt", {"Organic Cotton", "Striped", "Long-sleeved"},
     {"S", "M", "L", "XL"}},
    {3900, "Jeans", {"Straight", "Slim", "High-waisted"},
     {"W28", "W30", "W32", "W34"}},
    {8900, "Rain Jacket", {"Packable", "Breathable", "Insulated"},
     {"S", "M", "L", "XL"}},
    {750, "Socks", {"Merino", "Bamboo", "Compression"},
     {"1 pair", "2 pairs", "3 pairs", "5 pairs"}},
    {6900, "Running Shoes", {"Road", "Trail", "Barefoot"},
     {"size 38", "size 40", "size 42", "size 44"}},
    {4900, "Backpack", {"Canvas", "Waterproof", "Anti-theft"},
     {"15 l", "20 l", "30 l", "45 l"}},
    {7900, "Suitcase", {"Soft-shell", "Hard-shell", "Aluminium"},
     {"cabin", "medium", "large", "set of 2"}},
    {1600, "Water Bottle", {"Stainless Steel", "Glass", "Insulated"},
     {"350 ml", "500 ml", "750 ml", "1 l"}},
    {2300, "Yoga Mat", {"Cork", "Natural Rubber", "Foldable"},
     {"3 mm", "4 mm", "6 mm", "with strap"}},
    {1900, "Dumbbell", {"Cast-iron", "Rubber-coated", "Adjustable"},
     {"2 kg", "5 kg", "10 kg", "pair, 10 kg"}},
    {42000, "Bicycle", {"City", "Folding", "Gravel"},
     {"7 gears", "8 gears", "11 gears", "12 gears"}},
    {2700, "Bicycle Light", {"Clip-on", "Dynamo", "Rechargeable"},
     {"front", "rear", "front and rear", "with brake light"}},
    {16900, "Tent", {"Dome", "Tunnel", "Ultralight"},
     {"1 person", "2 persons", "3 persons", "4 persons"}},
    {7400, "Sleeping Bag", {"Summer", "Three-season", "Down"},
     {"short", "regular", "long", "double"}},
    {290, "Flower Seeds", {"Meadow", "Sunflower", "Lavender"},
     {"5 g", "10 g", "25 g", "100 g"}},
    {1350, "Flower Pot", {"Terracotta", "Zinc", "Self-watering"},
     {"12 cm", "18 cm", "24 cm", "32 cm"}},
    {2600, "Board Game", {"Cooperative", "Strategy", "Word"},
     {"2 players", "2–4 players", "3–6 players", "party edition"}},
    {1150, "Jigsaw Puzzle", {"Landscape", "World Map", "Wooden"},
     {"250 pieces", "500 pieces", "1000 pieces", "2000 pieces"}},
    {990, "Cookbook", {"Vegetarian", "Baking", "One-pot"},
     {"paperback", "hardcover", "illustrated", "signed"}},
};
// clang-format on

#define KINDS (sizeof kinds / sizeof kinds[0])
#define PRODUCTS (KINDS * MAKES * VARIANTS)

static struct product products[PRODUCTS];
static uint32_t weight_up_to[PRODUCTS]; // by place in the order of popularity, summed

// Small prices in steps of five cents, the others one cent below a round figure.
static unsigned round_price(unsigned cents)
{
    if (cents < 2000)
        return (cents + 4) / 5 * 5;
    return (cents + 99) / 100 * 100 - 1;
}

void catalogue_build(void)
{
    size_t n = 0;
    uint32_t sum = 0;

    for (size_t kind = 0; kind < KINDS; kind++) {
        for (unsigned make = 0; make < MAKES; make++) {
            for (unsigned variant = 0; variant < VARIANTS; variant++, n++) {
                const struct kind *of = &kinds[kind];
                struct product *product = &products[n];

                product->id = FIRST_ID + (unsigned)n;
                product->price =
                    round_price(of->price * (100 + 12 * make + 30 * variant) / 100);
                int length = snprintf(product->name, sizeof product->name, "%s %s, %s",
                                      of->make[make], of->noun, of->variant[variant]);
                assert(length > 0 && (size_t)length < sizeof product->name);
            }
        }
    }
    for (size_t place = 0; place < PRODUCTS; place++) {
        sum += (uint32_t)(1000000 / (place + 8));
        weight_up_to[place] = sum;
    }
}

const struct product *catalogue_pick(uint64_t random)
{
    uint32_t wanted = (uint32_t)(((random >> 32) * weight_up_to[PRODUCTS - 1]) >> 32);
    size_t low = 0, high = PRODUCTS - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (weight_up_to[middle] > wanted)
            high = middle;
        else
            low = middle + 1;
    }
    // A prime that does not divide PRODUCTS: popularity is spread over all kinds.
    return &products[(MOST_POPULAR + low * 397) % PRODUCTS];
}

const struct product *catalogue_at(size_t n)
{
    return n < PRODUCTS ? &products[n] : NULL;
}
