// The rules of a cart that the page needs while an answer is still to come: what an
// action makes of it, and in what two carts differ. Pure functions; amounts in whole
// cents.

export const QUANTITY_MAX = 999;

const cents = (amount) => Math.round(amount * 100);

export function emptyCart(user) {
    return {user_id: user, version: 0, items: [], item_count: 0, total: 0};
}

// The cart as it will be once the action is done. Lines that it touches are `pending`.
export function applyAction(cart, action) {
    let items = cart.items.map((line) => ({...line}));
    const line = items.find((each) => each.product_id === action.product_id);
    if (action.kind === "clear")
        items = [];
    else if (action.kind === "remove" || action.quantity === 0)
        items = items.filter((each) => each !== line);
    else if (action.kind === "set" && line)
        Object.assign(line, {quantity: action.quantity, pending: true});
    else if (action.kind === "add" && line)
        Object.assign(line, {name: action.name, price: action.price, pending: true,
                             quantity: line.quantity + action.quantity});
    else if (action.kind === "add")
        items.push({product_id: action.product_id, name: action.name, pending: true,
                    price: action.price, quantity: action.quantity});
    for (const each of items)
        each.subtotal = cents(each.price) * each.quantity / 100;
    return {...cart, items,
            item_count: items.reduce((sum, each) => sum + each.quantity, 0),
            total: items.reduce((sum, each) => sum + cents(each.subtotal), 0) / 100};
}

// [{name, was, now}] of the lines whose quantity differs; 0 where there is no line.
export function differences(before, after) {
    const byId = new Map();
    for (const line of before.items)
        byId.set(line.product_id, {name: line.name, was: line.quantity, now: 0});
    for (const line of after.items) {
        const was = byId.get(line.product_id)?.was ?? 0;
        byId.set(line.product_id, {name: line.name, was, now: line.quantity});
    }
    return [...byId.values()].filter((each) => each.was !== each.now);
}

// The request that does an action, without the cart's own part of the path.
export function requestOf(action) {
    switch (action.kind) {
    case "add":
        return {method: "POST", path: "/add",
                body: {product_id: action.product_id, name: action.name,
                       price: action.price, quantity: action.quantity}};
    case "set":
        return {method: "PUT", path: `/update/${action.product_id}`,
                body: {quantity: action.quantity}};
    case "remove":
        return {method: "POST", path: `/remove/${action.product_id}`};
    default:
        return {method: "POST", path: "/clear"};
    }
}
