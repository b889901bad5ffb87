// Prometheus' text format, as /metrics has it, and what can be computed from two readings
// of it. Pure functions.

const SAMPLE = /^([a-z_]+)(?:{(.*)})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

// A reading: {name: [{labels: {..}, value}]}.
export function parse(text) {
    const reading = {};
    for (const line of text.split("\n")) {
        const match = SAMPLE.exec(line);
        if (!match)
            continue;
        const labels = {};
        for (const [, name, value] of (match[2] || "").matchAll(LABEL))
            labels[name] = value;
        (reading[match[1]] ??= []).push({labels, value: Number(match[3])});
    }
    return reading;
}

// The series of a name that have these labels; a value may be a test of its own.
function series(reading, name, wanted) {
    return (reading[name] || []).filter(({labels}) =>
        Object.entries(wanted).every(([label, value]) =>
            typeof value === "function" ? value(labels[label])
                                        : labels[label] === value));
}

// The sum of them; 0 where there is none, as Prometheus leaves out what is zero.
export function sum(reading, name, wanted = {}) {
    return series(reading, name, wanted).reduce((total, each) => total + each.value, 0);
}

// The values that a label has.
export function labelValues(reading, name, label) {
    return [...new Set((reading[name] || []).map((each) => each.labels[label]))];
}

// How much a counter has grown; since a restart at zero, all that it has.
export function grown(before, after, name, wanted) {
    const [was, is] = [sum(before, name, wanted), sum(after, name, wanted)];
    return is >= was ? is - was : is;
}

// [{le, count}] of what a histogram has counted between two readings, up to each bound.
function buckets(before, after, name, wanted) {
    const bounds = labelValues(after, name + "_bucket", "le");
    return bounds.map((le) => ({
        le: le === "+Inf" ? Infinity : Number(le),
        count: grown(before, after, name + "_bucket", {...wanted, le}),
    })).sort((a, b) => a.le - b.le);
}

// Percentiles of a histogram between two readings, interpolated within the bucket where
// each falls, as Prometheus does; null where nothing was counted.
export function percentiles(before, after, name, wanted, shares) {
    const counted = buckets(before, after, name, wanted);
    const all = counted.at(-1)?.count;
    if (!all)
        return shares.map(() => null);
    return shares.map((share) => {
        const rank = share * all;
        const at = counted.findIndex((each) => each.count >= rank);
        const low = at > 0 ? counted[at - 1] : {le: 0, count: 0};
        const {le, count} = counted[at];
        return le === Infinity ? low.le
            : low.le + (le - low.le) * (rank - low.count) / (count - low.count || 1);
    });
}
