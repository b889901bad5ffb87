// What this browser keeps for the page. What it does not take, because it is full or may
// keep nothing, stays in this page's memory: until a reload, but not lost at once.

class Store {
    constructor(name) {
        this.memory = new Map();
        try {
            this.kept = globalThis[name];
        } catch {
            this.kept = null; // blocked
        }
    }

    get(key) {
        return this.memory.get(key) ?? this.kept?.getItem(key) ?? null;
    }

    set(key, value) {
        try {
            this.kept.setItem(key, value);
            this.memory.delete(key);
        } catch {
            this.memory.set(key, value);
        }
    }

    remove(key) {
        this.memory.delete(key);
        this.kept?.removeItem(key);
    }

    keys() {
        return [...new Set([...Object.keys(this.kept || {}), ...this.memory.keys()])];
    }
}

export const local = new Store("localStorage");
export const session = new Store("sessionStorage");
