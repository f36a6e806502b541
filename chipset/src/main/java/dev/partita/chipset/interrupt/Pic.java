package dev.partita.chipset.interrupt;

/// One 8259A programmable interrupt controller (Intel 231468). Not thread-safe: {@link PicPair}
/// guards it.
final class Pic {
  private static final int ICW1_NEEDS_ICW4 = 1;
  private static final int ICW1_SINGLE = 1 << 1;
  private static final int ICW4_AUTO_EOI = 1 << 1;
  private static final int ICW4_SPECIAL_FULLY_NESTED = 1 << 4;

  /// The master's input that the slave drives.
  static final int CASCADE = 2;

  private final boolean master;

  /// Which inputs may be level-triggered (PC/AT: not the timer, keyboard, cascade, clock and
  /// coprocessor's).
  private final int levelWritable;

  private int lines;
  private int requests;
  private int inService;
  private int mask;
  private int level;
  private int vectorBase;
  private int nextIcw;
  private int icw1;
  private int icw4;
  private int lowestPriority;
  private boolean rotateOnAutoEoi;
  private boolean specialMask;
  private boolean readInService;
  private boolean poll;

  Pic(boolean master) {
    this.master = master;
    this.levelWritable = master ? 0xF8 : 0xDE;
    reset();
  }

  /// Power-up. Nothing is delivered before initialization; the inputs' levels stay.
  void reset() {
    requests = 0;
    inService = 0;
    mask = 0xFF;
    level = 0;
    vectorBase = 0;
    nextIcw = 0;
    icw1 = 0;
    icw4 = 0;
    lowestPriority = 7;
    rotateOnAutoEoi = false;
    specialMask = false;
    readInService = false;
    poll = false;
  }

  void setLine(int input, boolean asserted) {
    int bit = 1 << input;
    boolean before = (lines & bit) != 0;
    if (asserted) {
      lines |= bit;
      if (!before || (level & bit) != 0) {
        requests |= bit;
      }
    } else {
      // Also in edge mode: an input must stay high until it is acknowledged.
      lines &= ~bit;
      requests &= ~bit;
    }
  }

  /// The level of the INT output.
  boolean output() {
    return next() >= 0;
  }

  /// The input to be served next, or -1.
  int next() {
    int candidate = highest(requests & ~mask);
    if (candidate < 0) {
      return -1;
    }
    int blocking = specialMask ? inService & ~mask : inService;
    if (master && (icw4 & ICW4_SPECIAL_FULLY_NESTED) != 0) {
      // The slave nests its own inputs.
      blocking &= ~(1 << CASCADE);
    }
    int current = highest(blocking);
    return current < 0 || rank(candidate) < rank(current) ? candidate : -1;
  }

  /// Takes an input into service.
  void accept(int input) {
    int bit = 1 << input;
    if ((icw4 & ICW4_AUTO_EOI) != 0) {
      if (rotateOnAutoEoi) {
        lowestPriority = input;
      }
    } else {
      inService |= bit;
    }
    if ((level & bit) == 0) {
      requests &= ~bit;
    }
  }

  int vector(int input) {
    return vectorBase | input;
  }

  private int rank(int input) {
    return input - lowestPriority - 1 & 7;
  }

  private int highest(int inputs) {
    for (int i = 1; i <= 8 && inputs != 0; i++) {
      int input = lowestPriority + i & 7;
      if ((inputs & 1 << input) != 0) {
        return input;
      }
    }
    return -1;
  }

  /// The poll command is pending: the next read of the even port acknowledges.
  boolean takePoll() {
    boolean was = poll;
    poll = false;
    return was;
  }

  int readStatus() {
    return readInService ? inService : requests;
  }

  int mask() {
    return mask;
  }

  int level() {
    return level;
  }

  void setLevel(int inputs) {
    level = inputs & levelWritable;
    requests = requests & ~level | lines & level;
  }

  /// A write of the even port: ICW1, OCW2 or OCW3.
  void writeCommand(int value) {
    if ((value & 1 << 4) != 0) {
      initialize(value);
    } else if ((value & 1 << 3) != 0) {
      if ((value & 1 << 6) != 0) {
        specialMask = (value & 1 << 5) != 0;
      }
      if ((value & 1 << 2) != 0) {
        poll = true;
      } else if ((value & 1 << 1) != 0) {
        readInService = (value & 1) != 0;
      }
    } else {
      endOrRotate(value >> 5, value & 7);
    }
  }

  private void initialize(int value) {
    icw1 = value;
    nextIcw = 2;
    // The edge sense circuit is reset: an input must rise again.
    requests = lines & level;
    inService = 0;
    mask = 0;
    lowestPriority = 7;
    specialMask = false;
    readInService = false;
    poll = false;
    rotateOnAutoEoi = false;
    icw4 = 0;
  }

  private void endOrRotate(int command, int input) {
    switch (command) {
      case 0 -> rotateOnAutoEoi = false;
      case 1 -> end(highest(specialMask ? inService & ~mask : inService), false);
      case 3 -> end(input, false);
      case 4 -> rotateOnAutoEoi = true;
      case 5 -> end(highest(specialMask ? inService & ~mask : inService), true);
      case 6 -> lowestPriority = input;
      case 7 -> end(input, true);
      default -> {
        // 2: no operation.
      }
    }
  }

  private void end(int input, boolean rotate) {
    if (input >= 0) {
      inService &= ~(1 << input);
      if (rotate) {
        lowestPriority = input;
      }
    }
  }

  /// A write of the odd port: the initialization command word in turn, or the mask.
  void writeData(int value) {
    switch (nextIcw) {
      case 2 -> {
        vectorBase = value & 0xF8;
        nextIcw = (icw1 & ICW1_SINGLE) == 0 ? 3 : (icw1 & ICW1_NEEDS_ICW4) != 0 ? 4 : 0;
      }
      // The cascade is wired: what the word says cannot change it.
      case 3 -> nextIcw = (icw1 & ICW1_NEEDS_ICW4) != 0 ? 4 : 0;
      case 4 -> {
        icw4 = value & 0x1F;
        nextIcw = 0;
      }
      default -> mask = value & 0xFF;
    }
  }

  PicState.Chip state() {
    return new PicState.Chip(
        lines,
        requests,
        inService,
        mask,
        level,
        vectorBase,
        nextIcw,
        icw1,
        icw4,
        lowestPriority,
        rotateOnAutoEoi,
        specialMask,
        readInService,
        poll);
  }

  void setState(PicState.Chip state) {
    lines = state.lines() & 0xFF;
    requests = state.requests() & 0xFF;
    inService = state.inService() & 0xFF;
    mask = state.mask() & 0xFF;
    level = state.level() & levelWritable;
    vectorBase = state.vectorBase() & 0xF8;
    nextIcw = state.nextIcw();
    icw1 = state.icw1();
    icw4 = state.icw4();
    lowestPriority = state.lowestPriority() & 7;
    rotateOnAutoEoi = state.rotateOnAutoEoi();
    specialMask = state.specialMask();
    readInService = state.readInService();
    poll = state.poll();
  }
}
