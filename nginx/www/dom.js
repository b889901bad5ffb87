// Elements, made of names, attributes and text. Text is only ever text: nothing here, or
// in any other file, reads HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on"))
            element.addEventListener(name.slice(2), value);
        else if (value === true)
            element.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined)
            element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

// An element. Attributes that begin with `on` are listeners, false and null are left out;
// children are elements or text.
export function make(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}

export function makeSvg(name, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
}

// A line drawing in a square of 24, which says nothing to a screen reader.
export function drawing(path) {
    return makeSvg("svg", {viewBox: "0 0 24 24", "aria-hidden": "true"},
                   makeSvg("path", {d: path}));
}

export const byId = (id) => document.getElementById(id);

// Writes only what differs, so that nothing is announced or redrawn without a reason.
export function setText(element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}
