# SPDX-License-Identifier: MIT
#
# libarena-gdb.py - gdb's view of a libarena heap: the command `arena` and pretty-printers.
# gdb loads it with the library from its auto-load directory, or by `source`.
#
# It reads what src/root.h leads to, with the layouts that the library's debug information gives,
# so it needs no table of its own; it runs no code in the program and works on cores.  Names of types are
# never looked up by themselves: a program may have a `struct heap` of its own.

import bisect
import re
import struct

import gdb
import gdb.printing

# Of pagemap.h, run.h and heap.h, where they are macros or plain numbers.
ROOT_VERSION = 7
PAGE_SHIFT = 14
INFO_LARGE, INFO_INNER, INFO_HUGE = 253, 254, 255
RUN_SMALL, RUN_LARGE, RUN_HUGE, RUN_STARTER = 1, 2, 3, 4
HEAP_THREAD = 1
KINDS = {HEAP_THREAD: "thread heap", 2: "shared heap", 3: "heap lost in a fork"}
LIST_MAX = 1 << 22  # a damaged list ends here


class Layout:
    """Offsets and widths of a structure's members, from debug information."""

    def __init__(self, kind):
        kind = kind.strip_typedefs().unqualified()
        self.size = kind.sizeof
        self.members = {}
        self.add(kind, 0)

    def add(self, kind, base):
        for f in kind.fields():
            t = f.type.strip_typedefs()
            if not f.name:  # a union without a name
                self.add(t, base + f.bitpos // 8)
                continue
            code = "" if t.code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) else \
                {1: "B", 2: "H", 4: "I", 8: "Q"}[t.sizeof]
            self.members[f.name] = (base + f.bitpos // 8, code, f.type)

    def offset(self, name):
        return self.members[name][0]


class Record:
    """The plain members of a structure at an address, as numbers."""

    def __init__(self, layout, address, memory):
        self.address, self.layout, self.memory = address, layout, memory
        for name, (at, code, _) in layout.members.items():
            if code:
                setattr(self, name, struct.unpack_from("<" + code, memory, at)[0])

    def words(self, name, count, code="Q"):
        return struct.unpack_from(f"<{count}{code}", self.memory, self.layout.offset(name))


def read(address, length):
    return bytes(gdb.selected_inferior().read_memory(address, length))


class Arena:
    """The heap of one library in the process."""

    def __init__(self, root):
        self.root = root
        if int(root["version"]) != ROOT_VERSION:
            raise gdb.GdbError(f"libarena {root['library_version'].string()} has a root descriptor of "
                               f"version {int(root['version'])}, this script reads version "
                               f"{ROOT_VERSION}: use the one that came with the library")
        if int(root["word_bytes"]) != 8 or int(root["page_shift"]) != PAGE_SHIFT:
            raise gdb.GdbError("this script reads 64-bit programs only")
        target = lambda name: root[name].type.strip_typedefs().target().unqualified()
        self.heap_layout = Layout(target("heaps").target())
        self.chunk_layout = Layout(target("chunks").target())
        self.run_layout = Layout(target("huge").target())
        self.pages_layout = Layout(target("pages"))
        self.bin_layout = Layout(self.heap_layout.members["bins"][2].target())
        self.class_layout = Layout(target("classes"))
        self.nclasses = int(root["nclasses"])
        table = read(int(root["classes"]), self.nclasses * self.class_layout.size)
        self.size = [Record(self.class_layout, 0, table[i * self.class_layout.size:]).size
                     for i in range(self.nclasses)]
        self.infos = self.pointer_at("pagemap")
        self.top, self.span16, *_ = self.window(self.infos)

    @staticmethod
    def window(infos):
        """(top, bytes / 16, pages, window before, mapping, its bytes) from the header of a window of the page map."""
        return struct.unpack("<QQQQQQ", read(infos - 64, 48))

    def windows(self):
        """The mappings (start, bytes) of the window in use and of those before it, each of which has less."""
        infos, most = self.infos, 1 << 50
        while True:
            _, _, n, older, start, length = self.window(infos)
            # the first one lies in .bss
            if not 0 < n < most or not start:
                return
            yield start, length
            infos, most = older, n

    def metadata(self):
        """[start, end) of each block of metadata and each window of the page map."""
        layout = Layout(self.root["meta_blocks"].type.strip_typedefs().target().unqualified().target())
        for b in self.listed("meta_blocks", layout, "next"):
            yield b.address, b.address + b.bytes
        for start, length in self.windows():
            yield start, start + length

    def mapped(self):
        return (self.pages().mapped + self.pointer_at("meta_mapped") +
                sum(length for _, length in self.windows()))

    def metadata_used(self):
        return self.pointer_at("meta_used") + (self.pages().mapped >> PAGE_SHIFT) * 12

    def live(self):
        """The peak of live as far as heaps have told it; bytes of recorded blocks; of these, waste."""
        state = Layout(self.root["live"].type.strip_typedefs().target().unqualified())
        n = int(self.root["live_nrows"])
        rows = struct.unpack(f"<{2 * n}Q", read(int(self.root["live_rows"]), 16 * n))
        return (self.record(state, int(self.root["live"])).peak, sum(rows[0::2]), sum(rows[1::2]))

    def pointer_at(self, name):
        return struct.unpack("<Q", read(int(self.root[name]), 8))[0]

    def record(self, layout, address, extra=0):
        return Record(layout, address, read(address, layout.size + extra))

    def listed(self, name, layout, link):
        address, seen = self.pointer_at(name), 0
        while address and seen < LIST_MAX:
            r = self.record(layout, address)
            yield r
            address, seen = getattr(r, link), seen + 1

    def heaps(self):
        return self.listed("heaps", self.heap_layout, "all_next")

    def chunks(self):
        return (c for c in self.listed("chunks", self.chunk_layout, "all_next") if c.npages)

    def huge(self):
        return self.listed("huge", self.run_layout, "next")

    def pages(self):
        return self.record(self.pages_layout, int(self.root["pages"]))

    def run(self, address):
        nwords = self.record(self.run_layout, address).nwords
        return self.record(self.run_layout, address, 16 * nwords)

    def lookup(self, address):
        """(info, run) of the page of ADDRESS; (0, None) when it is not ours or free."""
        offset = self.top + 16 - 1 - address
        if offset < 0 or offset >> 4 >= self.span16:
            return 0, None
        i = offset >> PAGE_SHIFT
        info, = struct.unpack("<I", read(self.infos + 4 * i, 4))
        run, = struct.unpack("<Q", read(self.infos - 64 - 8 * (i + 1), 8))
        return info, self.run(run) if run else None

    def free_bits(self, run):
        """Local and remote bits of a run of small regions, as two numbers."""
        n = run.nwords
        data = read(run.address + self.run_layout.offset("bits"), 16 * n)
        mask = (1 << run.nregions) - 1
        return (int.from_bytes(data[:8 * n], "little") & mask,
                int.from_bytes(data[8 * n:], "little") & mask)

    def starter_blocks(self, run):
        """(address, class, freed by another thread) of each block of a starter run."""
        n = run.nwords
        data = read(run.address + self.run_layout.offset("bits"), 24 * n)
        starts, remote, ends = (int.from_bytes(data[8 * n * k:8 * n * (k + 1)], "little") for k in (0, 1, 2))
        for i in range(run.nregions):
            if starts >> i & 1:
                rest = ends >> i
                length = (rest & -rest).bit_length()
                yield run.base + 16 * i, self.class_of(16 * length), remote >> i & 1

    def bin(self, heap, cls):
        at = self.heap_layout.offset("bins") + cls * self.bin_layout.size
        return Record(self.bin_layout, 0, heap.memory[at:at + self.bin_layout.size])

    def cached(self, heap, cls):
        """Addresses in a thread cache's bin."""
        b = self.bin(heap, cls)
        top = heap.words("top", self.nclasses)[cls]
        held = (heap.address + self.heap_layout.offset("bins") + cls * self.bin_layout.size +
                self.bin_layout.offset("held"))
        if not b.base:
            return struct.unpack("<Q", read(held, 8)) if top == held + 8 else ()
        n = (top - b.base) // 8 if b.base and top > b.base else 0
        return struct.unpack(f"<{n}Q", read(b.base, 8 * n)) if 0 < n <= b.cap else ()

    def pending(self, heap):
        """Addresses that a thread has freed into other heaps and not sent yet."""
        if not heap.combine:
            return
        kind = self.heap_layout.members["combine"][2].strip_typedefs().target()
        slots = Layout(kind).members["slots"][2]
        slot = Layout(slots.target())
        data = read(heap.combine, slots.sizeof)
        for i in range(slots.sizeof // slot.size):
            s = Record(slot, 0, data[i * slot.size:])
            if s.mask:
                word = s.key % 64
                r = self.run(s.key - word)
                for k in range(64):
                    if s.mask >> k & 1:
                        yield r.base + (word * 64 + k) * self.size[r.cls]

    def spans(self, chunk):
        """(page number, info, run) of each span in use of a chunk; info 0: cannot be read."""
        used = int.from_bytes(chunk.memory[self.chunk_layout.offset("used"):][:32], "little")
        i = 0
        while i < chunk.npages:
            if not used >> i & 1:
                i += 1
                continue
            base = chunk.base + (i << PAGE_SHIFT)
            info, run = self.lookup(base)
            if info == 0 and run is None:  # a spare span's (src/spare.c): free
                i += 1
                continue
            good = run is not None and run.base == base and 0 < run.npages <= chunk.npages - i
            yield i, info if good else 0, run
            i += run.npages if good else 1

    def class_of(self, size):
        return next((c for c in range(1, self.nclasses) if self.size[c] >= size), None)

    def owner(self, number):
        for h in self.heaps():
            if h.id == number:
                return h
        return None


def arenas():
    """Every libarena of the process; an error that says what is missing when there is none."""
    found, plain = [], None
    for o in gdb.objfiles():
        s = o.lookup_global_symbol("arn_root") or o.lookup_static_symbol("arn_root")
        if s is not None:
            found.append(Arena(s.value()))
        elif re.search(r"/libarena[^/]*\.so", o.filename or ""):
            plain = o.filename
    if not found:
        raise gdb.GdbError(f"{plain} has no debug information (Debian: libarena0-dbgsym)" if plain
                           else "this program does not use libarena")
    return found


def joined(pieces):
    """Sorted, and no two of them overlap."""
    out = []
    for start, end in sorted(pieces):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def human(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1000 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" or n >= 10 else f"{n:.1f} {unit}"
        n /= 1024


def number(argument, usage):
    if not argument:
        raise gdb.GdbError(f"usage: {usage}")
    return int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("unsigned long")))


# ---- commands -----------------------------------------------------------------------------------

class ArenaPrefix(gdb.Command):
    """The heap of libarena: arena stats, arena ptr, arena chunk, arena find-leaks-of."""

    def __init__(self):
        super().__init__("arena", gdb.COMMAND_DATA, prefix=True)


class ArenaStats(gdb.Command):
    """arena stats: totals and size classes of the heap."""

    def __init__(self):
        super().__init__("arena stats", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for a in arenas():
            self.show(a)

    def show(self, a):
        rows = {}
        large = torn = 0
        for c in a.chunks():
            for _, info, run in a.spans(c):
                if info == 0:
                    torn += 1
                elif info & 255 == INFO_LARGE:
                    large += run.npages << PAGE_SHIFT
                elif run.state == RUN_STARTER:
                    rows.setdefault(1, [0, 0, 0])[0] += 1
                    for _, cls, gone in a.starter_blocks(run):
                        rows.setdefault(cls, [0, 0, 0])[1] += not gone
                elif info & 255 < a.nclasses:
                    local, remote = a.free_bits(run)
                    row = rows.setdefault(run.cls, [0, 0, 0])
                    row[0] += 1
                    row[1] += run.nregions
                    row[2] += bin(local | remote).count("1")
        heaps = list(a.heaps())
        cached = {c: sum(len(a.cached(h, c)) for h in heaps) for c in rows}
        for h in heaps:
            for p in a.pending(h):
                cls = a.lookup(p)[1].cls
                cached[cls] = cached.get(cls, 0) + 1
        live = {c: r[1] - r[2] - cached[c] for c, r in rows.items()}
        huge = sum(r.size + 1024 * r.slack_kib for r in a.huge())
        p = a.pages()
        small = sum(n * a.size[c] for c, n in live.items())
        peak, recorded, internal = a.live()
        print(f"libarena {a.root['library_version'].string()}, "
              f"thread heaps: {sum(h.kind == HEAP_THREAD for h in heaps)}")
        for name, n in (
                ("live", small + large + huge), ("  small", small), ("  large", large), ("  huge", huge),
                ("peak live", max(peak, small + large + huge)), ("recorded", recorded),
                ("internal", internal), ("cached", sum(n * a.size[c] for c, n in cached.items())),
                ("empty", sum(r[2] * a.size[c] for c, r in rows.items())), ("active", p.used),
                ("peak active", p.peak_used), ("dirty", p.dirty), ("metadata", a.metadata_used()),
                ("mapped", a.mapped())):
            print(f"{name:12} {n:>16} {human(n):>10}")
        print(f"{'class':>8} {'runs':>8} {'regions':>10} {'live':>10} {'cached':>8} {'empty':>10} {'':>6}")
        for c in sorted(rows):
            runs, regions, empty = rows[c]
            if regions == 0:  # a starter run without a block of the smallest class: alloc-stats has no row either
                continue
            print(f"{a.size[c]:>8} {runs:>8} {regions:>10} {live[c]:>10} {cached[c]:>8} {empty:>10}"
                  f" {100 * empty // regions:>5}%")
        if torn:
            print(f"{torn} spans are damaged, or were changing")


class ArenaPtr(gdb.Command):
    """arena ptr ADDRESS: what an address is: its run and region, live or free, and who owns it."""

    def __init__(self):
        super().__init__("arena ptr", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        address = number(argument, "arena ptr ADDRESS")
        for a in arenas():
            text = self.describe(a, address)
            if text:
                print(f"{address:#x}: {text}")
                return
        print(f"{address:#x}: not memory of libarena")

    def describe(self, a, address):
        for r in a.huge():
            if r.base <= address < r.base + r.size:
                return f"huge block {r.base:#x}, {human(r.size)}, live, {self.at(address, r.base)}"
        info, run = a.lookup(address)
        if info == 0 or run is None:
            for c in a.chunks():
                if c.base <= address < c.base + (c.npages << PAGE_SHIFT):
                    return f"a free page of chunk {c.base:#x}"
            return None
        owner = self.owner(a, info >> 8)
        if info & 255 in (INFO_LARGE, INFO_INNER):
            return (f"large block {run.base:#x}, {human(run.size)}, live, "
                    f"{self.at(address, run.base)}{owner}")
        if run.state == RUN_STARTER:
            where = f"starter run {run.base:#x} (descriptor {run.address:#x})"
            for start, cls, gone in a.starter_blocks(run):
                if start <= address < start + a.size[cls]:
                    return (f"block at {start:#x}, {a.size[cls]} bytes, "
                            f"{'free (by another thread)' if gone else 'live'}, "
                            f"{self.at(address, start)}\n  {where}{owner}")
            return f"free, in {where}{owner}"
        size = a.size[run.cls]
        i = (address - run.base) // size
        where = f"run {run.base:#x} of {run.nregions} x {size} bytes (descriptor {run.address:#x})"
        if i >= run.nregions:
            return f"the unused end of {where}{owner}"
        start = run.base + i * size
        return (f"region {i} at {start:#x}, {size} bytes, {self.state(a, run, i, start)}, "
                f"{self.at(address, start)}\n  {where}{owner}")

    @staticmethod
    def at(address, start):
        return "its start" if address == start else f"{address - start} bytes in"

    @staticmethod
    def state(a, run, i, start):
        local, remote = a.free_bits(run)
        if local >> i & 1:
            return "free"
        if remote >> i & 1:
            return "free (by another thread)"
        for h in a.heaps():
            if start in a.cached(h, run.cls):
                return f"free (in the thread cache of heap {h.id})"
            if start in a.pending(h):
                return f"free (by the thread of heap {h.id}, not yet sent)"
        return "live"

    @staticmethod
    def owner(a, number):
        h = a.owner(number)
        if h is None:
            return "" if number == 0 else f"\n  owner: heap {number}, which is gone"
        text = f"\n  owner: {KINDS.get(h.kind, 'heap')} {number}" + (", parked" if h.parked else "")
        thread = thread_of(h.address)
        return text + (f", of thread {thread}" if thread else "")


def thread_of(heap):
    """gdb's number of the thread whose heap that is, where its thread-local storage can be read."""
    try:
        now = gdb.selected_thread()
        frame = gdb.selected_frame() if now else None
        for t in gdb.selected_inferior().threads():
            t.switch()
            if int(gdb.parse_and_eval("arn_heap")) == heap:
                return f"{t.num} ({t.name})"
    except gdb.error:
        pass
    finally:
        if now:
            now.switch()
            frame.select()
    return None


class ArenaChunk(gdb.Command):
    """arena chunk [ADDRESS]: all chunks, or the spans of the one that holds an address."""

    def __init__(self):
        super().__init__("arena chunk", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        address = number(argument, "arena chunk [ADDRESS]") if argument else None
        for a in arenas():
            for c in sorted(a.chunks(), key=lambda c: c.base):
                if address is None:
                    print(f"{c.base:#x} {c.npages:>4} pages, {c.npages - c.nfree:>4} in use, "
                          f"{c.ndirty:>4} free and dirty, longest free row {c.largest}"
                          + (", asks for huge pages" if c.huge_pages else ""))
                elif c.base <= address < c.base + (c.npages << PAGE_SHIFT):
                    self.spans(a, c)

    @staticmethod
    def spans(a, c):
        for i, info, run in a.spans(c):
            page = f"  page {i:>3} {c.base + (i << PAGE_SHIFT):#x}:"
            if info == 0:
                print(page, "damaged, or changing")
            elif info & 255 == INFO_LARGE:
                print(page, f"large block of {run.npages} pages")
            elif run.state == RUN_STARTER:
                blocks = sum(not gone for _, _, gone in a.starter_blocks(run))
                print(page, f"starter run, {blocks} blocks out, heap {info >> 8}")
            else:
                local, remote = a.free_bits(run)
                print(page, f"{run.npages} pages, {a.size[run.cls]}-byte regions,",
                      f"{run.nregions - bin(local | remote).count('1')} of {run.nregions} out,",
                      f"heap {info >> 8}")


class ArenaLeaks(gdb.Command):
    """arena find-leaks-of SIZE [COUNT]: live blocks of SIZE bytes' class that no word in memory
points to.  Registers, globals, stacks, other mappings and live blocks are searched for pointers to
the blocks' starts; a block that is only reached through its middle is reported all the same."""

    def __init__(self):
        super().__init__("arena find-leaks-of", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        size = number(words[0] if words else "", "arena find-leaks-of SIZE [COUNT]")
        shown = int(words[1]) if len(words) > 1 else 10
        for a in arenas():
            self.search(a, size, shown)

    def search(self, a, size, shown):
        cls = a.class_of(size)
        if cls is None:
            raise gdb.GdbError(f"blocks of {size} bytes are not in a size class")
        free, own = set(), []
        for h in a.heaps():
            for c in range(1, a.nclasses):
                free.update(a.cached(h, c))
                b = a.bin(h, c)
                if b.base:
                    own.append((b.base, b.base + 8 * b.cap))
            free.update(a.pending(h))
        blocks, live_memory = set(), []
        for c in a.chunks():
            own.append((c.base, c.base + (c.npages << PAGE_SHIFT)))
            for _, info, run in a.spans(c):
                live_memory += self.live(a, run, info, free, cls, blocks)
                # A run's descriptor has the address of its first block.
                if run is not None:
                    own.append((run.address, run.address + a.run_layout.size))
        # Neither are caches that were put away, or descriptors of runs that are gone.
        own = joined(own + list(a.metadata()))
        total = len(blocks)
        for start, end in live_memory:
            self.strike(blocks, start, end)
        for start, end in self.mappings():
            for piece in self.without(start, end, own):
                self.strike(blocks, *piece)
        for t in gdb.selected_inferior().threads():
            self.registers(t, blocks)
        print(f"{a.size[cls]}-byte class: {total} live blocks, {len(blocks)} of them "
              f"({human(len(blocks) * a.size[cls])}) with no pointer to their start anywhere")
        for p in sorted(blocks)[:shown]:
            data = read(p, min(a.size[cls], 32))
            text = "".join(chr(b) if 32 <= b < 127 else "." for b in data)
            print(f"  {p:#x}  {data.hex(' ', 8)}  {text}")
        if len(blocks) > shown:
            print(f"  ... and {len(blocks) - shown} more")

    @staticmethod
    def live(a, run, info, free, cls, blocks):
        """The pieces of a span that are live; adds those of class CLS to BLOCKS."""
        if info == 0:
            return []
        if info & 255 == INFO_LARGE:
            return [(run.base, run.base + run.size)]
        if run.state == RUN_STARTER:
            out = [(p, c) for p, c, gone in a.starter_blocks(run) if not gone]
            blocks.update(p for p, c in out if c == cls)
            return joined((p, p + a.size[c]) for p, c in out)
        size, pieces = a.size[run.cls], []
        local, remote = a.free_bits(run)
        gone = local | remote
        for i in range(run.nregions):
            p = run.base + i * size
            if gone >> i & 1 or p in free:
                continue
            if run.cls == cls:
                blocks.add(p)
            if pieces and pieces[-1][1] == p:
                pieces[-1] = (pieces[-1][0], p + size)
            else:
                pieces.append((p, p + size))
        return pieces

    @staticmethod
    def strike(blocks, start, end):
        """Takes from BLOCKS what a word of the memory points to, a few MiB at a time."""
        start = (start + 7) & ~7
        while start < end:
            n = min(end - start, 4 << 20) & ~7
            if n == 0:
                return
            try:
                blocks.difference_update(memoryview(read(start, n)).cast("Q"))
            except gdb.MemoryError:
                for page in range(start, start + n, 4096) if n > 4096 else ():
                    ArenaLeaks.strike(blocks, page, min(page + 4096, start + n))
            start += n

    @staticmethod
    def mappings():
        """Readable and writable memory of the process, or what the core holds."""
        pid = gdb.selected_inferior().pid
        try:
            lines = open(f"/proc/{pid}/maps").readlines() if live_process() else []
        except OSError:
            lines = []
        for line in lines:
            span, mode = line.split()[:2]
            if mode.startswith("rw") and "[v" not in line:
                yield tuple(int(x, 16) for x in span.split("-"))
        if not lines:
            for m in re.finditer(r"0x([0-9a-f]+)->0x([0-9a-f]+) at 0x[0-9a-f]+: load\S* (.*)",
                                 gdb.execute("maint info sections", to_string=True)):
                if "READONLY" not in m[3]:
                    yield int(m[1], 16), int(m[2], 16)

    @staticmethod
    def without(start, end, holes):
        for a, b in holes[max(bisect.bisect(holes, (start, 0)) - 1, 0):]:
            if a >= end:
                break
            if a > start:
                yield start, a
            start = max(start, b)
        if start < end:
            yield start, end

    @staticmethod
    def registers(thread, blocks):
        now = gdb.selected_thread()
        try:
            thread.switch()
            frame = gdb.newest_frame()
            for r in frame.architecture().registers("general"):
                blocks.discard(int(frame.read_register(r).cast(gdb.lookup_type("unsigned long"))))
        except gdb.error:
            pass
        finally:
            now.switch()


def live_process():
    connection = getattr(gdb.selected_inferior(), "connection", None)
    return connection is not None and connection.type == "native"


# ---- pretty-printers ----------------------------------------------------------------------------

class RunPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v = self.value
        state = int(v["state"])
        if state == RUN_SMALL:
            return (f"run {int(v['base']):#x}: class {int(v['cls'])}, {int(v['nfree'])} of "
                    f"{int(v['nregions'])} free, owner {int(v['owner'])}")
        if state == RUN_STARTER:
            return f"starter run {int(v['base']):#x}, owner {int(v['owner'])}"
        return {0: "unused run slot", RUN_LARGE: f"large block {int(v['base']):#x}, {human(int(v['size']))}",
                RUN_HUGE: f"huge block {int(v['base']):#x}, {human(int(v['size']))}"}.get(state, "run?")


class HeapPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v = self.value
        n = v["bins"].type.range()[1] + 1
        return (f"{KINDS.get(int(v['kind']), 'no heap')} {int(v['id'])}"
                f"{', parked' if v['parked'] else ''}: "
                f"{sum(int(v['bins'][i]['nruns']) for i in range(n))} runs")


class ChunkPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v = self.value
        return (f"chunk {int(v['base']):#x}: {int(v['npages'])} pages, {int(v['nfree'])} free, "
                f"{int(v['ndirty'])} dirty")


printers = gdb.printing.RegexpCollectionPrettyPrinter("libarena")
printers.add_printer("run", "^run$", RunPrinter)
printers.add_printer("heap", "^heap$", HeapPrinter)
printers.add_printer("chunk", "^chunk$", ChunkPrinter)
# For the library's own types, not a program's of the same name, where gdb loads this for a library.
gdb.printing.register_pretty_printer(gdb.current_objfile(), printers, replace=True)

ArenaPrefix()
ArenaStats()
ArenaPtr()
ArenaChunk()
ArenaLeaks()
