package dev.partita.chipset.device;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;
import dev.partita.chipset.interrupt.InterruptLine;
import dev.partita.hypervisor.TimeSource;

/// A 16550A serial port (National Semiconductor PC16550D). Thread-safe.
///
/// *Output* leaves at once. The transmitter reads as empty whenever the guest looks; its interrupt
/// comes when the guest looks or {@link #TRANSMIT_TIME} after a write, not after each byte, so that
/// a burst costs one interrupt, as on the real part.
///
/// *Input* comes from a bounded queue. The host's side keeps the RTS handshake: nothing is sent
/// before the guest raises RTS, nor while it is low. Bytes arrive in bursts of at most a FIFO, each
/// {@link #BURST_GAP} after the guest has emptied the one before. So nothing is overrun, and a
/// guest's interrupt handler always finds an end.
public final class Uart implements PortDevice {
  /// Nanoseconds from the first byte written to the transmitter-empty interrupt.
  static final long TRANSMIT_TIME = 50_000;

  /// Nanoseconds between an emptied receiver and the next bytes.
  static final long BURST_GAP = 100_000;

  private static final int FIFO_SIZE = 16;

  /// Crystal of 1.8432 MHz, 16 clocks a bit.
  private static final long BIT_CLOCK = 1_843_200 / 16;

  // Registers.
  private static final int DATA = 0;
  private static final int INTERRUPT_ENABLE = 1;
  private static final int INTERRUPT_IDENT = 2;
  private static final int LINE_CONTROL = 3;
  private static final int MODEM_CONTROL = 4;
  private static final int LINE_STATUS = 5;
  private static final int MODEM_STATUS = 6;

  private static final int IER_RECEIVE = 1;
  private static final int IER_TRANSMIT = 1 << 1;
  private static final int IER_LINE = 1 << 2;
  private static final int IER_MODEM = 1 << 3;

  private static final int IIR_NONE = 1;
  private static final int IIR_MODEM = 0;
  private static final int IIR_TRANSMIT = 2;
  private static final int IIR_RECEIVE = 4;
  private static final int IIR_LINE = 6;
  private static final int IIR_TIMEOUT = 12;
  private static final int IIR_FIFO = 0xC0;

  private static final int FCR_ENABLE = 1;
  private static final int FCR_CLEAR_RECEIVE = 1 << 1;

  /// DMA mode and trigger level: what is kept besides the enable bit.
  private static final int FCR_KEPT = 0xC9;

  private static final int[] TRIGGER_LEVELS = {1, 4, 8, 14};

  private static final int LCR_DIVISOR_ACCESS = 1 << 7;

  private static final int MCR_DTR = 1;
  private static final int MCR_RTS = 1 << 1;
  private static final int MCR_OUT1 = 1 << 2;
  private static final int MCR_OUT2 = 1 << 3;
  private static final int MCR_LOOP = 1 << 4;

  private static final int LSR_DATA_READY = 1;
  private static final int LSR_OVERRUN = 1 << 1;
  private static final int LSR_BREAK = 1 << 4;
  private static final int LSR_TRANSMIT_EMPTY = 0b11 << 5;
  private static final int LSR_FIFO_ERROR = 1 << 7;

  private static final int MSR_CTS = 1 << 4;
  private static final int MSR_DSR = 1 << 5;
  private static final int MSR_RING = 1 << 6;
  private static final int MSR_CARRIER = 1 << 7;

  private static final int CONNECTED = MSR_CTS | MSR_DSR | MSR_CARRIER;

  /// A break: a zero byte with its line status bit, in the queues' form.
  private static final short BREAK = LSR_BREAK << 8;

  private final TimeSource time;
  private final SerialPort place;
  private final InterruptLine line;
  private final SerialOutput output;
  private final SerialInput input = new SerialInput();
  private final TimeSource.Timer receiveAlarm;
  private final TimeSource.Timer timeoutAlarm;
  private final TimeSource.Timer transmitAlarm;

  private int interruptEnable;
  private int fifoControl;
  private int lineControl;
  private int modemControl;
  private int modemInputs = CONNECTED;
  private int modemStatus = CONNECTED;
  private int lineErrors;
  private int scratch;
  private int divisor = 12;

  private final short[] fifo = new short[FIFO_SIZE];
  private int fifoHead;
  private int fifoCount;

  /// Bytes were written and the transmitter does not show empty again yet.
  private boolean transmitting;

  private boolean transmitEmptyPending;
  private boolean timeoutPending;

  /// Not before this time does the next burst arrive.
  private long nextBurst;

  private boolean started;

  public Uart(TimeSource time, SerialPort place, InterruptLine line, SerialOutput output) {
    this.time = time;
    this.place = place;
    this.line = line;
    this.output = output;
    this.receiveAlarm = time.timer(this::receiveAtLast);
    this.timeoutAlarm = time.timer(this::timeOut);
    this.transmitAlarm = time.timer(this::finishTransmission);
    this.nextBurst = time.nanoTime();
  }

  /// Claims the port's registers.
  public void attach(PortBus ports) {
    ports.claim(place.port(), 8, this);
  }

  /// Master reset. Input that waits stays.
  public synchronized void reset() {
    interruptEnable = 0;
    fifoControl = 0;
    lineControl = 0;
    modemControl = 0;
    modemStatus = modemInputs;
    lineErrors = 0;
    scratch = 0;
    divisor = 12;
    clearFifo();
    transmitting = false;
    transmitEmptyPending = false;
    transmitAlarm.cancel();
    update();
  }

  /// Input and interrupts begin, or go on after {@link #stop}.
  public synchronized void start() {
    started = true;
    receive();
    if (transmitting) {
      transmitAlarm.arm(time.nanoTime() + TRANSMIT_TIME);
    }
    if (fifoCount > 0) {
      armTimeout();
    }
  }

  /// No more input and interrupts.
  public synchronized void stop() {
    started = false;
    receiveAlarm.cancel();
    timeoutAlarm.cancel();
    transmitAlarm.cancel();
  }

  // --- the host's side ---

  /// Sends bytes to the guest, as many as the queue has room for. Any thread.
  ///
  /// @return how many were taken
  public int offerInput(byte[] bytes, int offset, int length) {
    int count = input.offer(bytes, offset, length);
    receive();
    return count;
  }

  /// Sends bytes to the guest; waits while the queue is full, until the guest reads. Any thread.
  public void sendInput(byte[] bytes) throws InterruptedException {
    int sent = 0;
    while (true) {
      sent += offerInput(bytes, sent, bytes.length - sent);
      if (sent == bytes.length) {
        return;
      }
      input.awaitRoom();
    }
  }

  /// Sends a break to the guest.
  ///
  /// @return false if the queue is full
  public boolean sendBreak() {
    boolean sent = input.offer(BREAK);
    receive();
    return sent;
  }

  /// Sets the modem inputs: bits 7:4 of the modem status register (DCD, RI, DSR, CTS). At first all
  /// but RI are on.
  public synchronized void setModemInputs(int lines) {
    modemInputs = lines & 0xF0;
    if ((modemControl & MCR_LOOP) == 0) {
      setModemStatus(modemInputs);
      update();
    }
  }

  // --- the guest's side ---

  @Override
  public synchronized int readPort(int port, int size) {
    boolean divisorAccess = (lineControl & LCR_DIVISOR_ACCESS) != 0;
    switch (port - place.port()) {
      case DATA -> {
        return divisorAccess ? divisor & 0xFF : readData();
      }
      case INTERRUPT_ENABLE -> {
        return divisorAccess ? divisor >> 8 : interruptEnable;
      }
      case INTERRUPT_IDENT -> {
        finishTransmission();
        int source = source();
        if (source == IIR_TRANSMIT) {
          transmitEmptyPending = false;
          update();
        }
        return source | (fifoEnabled() ? IIR_FIFO : 0);
      }
      case LINE_CONTROL -> {
        return lineControl;
      }
      case MODEM_CONTROL -> {
        return modemControl;
      }
      case LINE_STATUS -> {
        return readLineStatus();
      }
      case MODEM_STATUS -> {
        int status = modemStatus;
        modemStatus &= 0xF0;
        update();
        return status;
      }
      default -> {
        return scratch;
      }
    }
  }

  @Override
  public synchronized void writePort(int port, int size, int value) {
    boolean divisorAccess = (lineControl & LCR_DIVISOR_ACCESS) != 0;
    switch (port - place.port()) {
      case DATA -> {
        if (divisorAccess) {
          divisor = divisor & 0xFF00 | value;
        } else {
          transmit(value);
        }
      }
      case INTERRUPT_ENABLE -> {
        if (divisorAccess) {
          divisor = divisor & 0xFF | value << 8;
        } else {
          boolean transmitOn = (value & ~interruptEnable & IER_TRANSMIT) != 0;
          interruptEnable = value & 0xF;
          if (transmitOn) {
            finishTransmission();
            transmitEmptyPending = true;
          }
          update();
        }
      }
      case INTERRUPT_IDENT -> writeFifoControl(value);
      case LINE_CONTROL -> lineControl = value;
      case MODEM_CONTROL -> writeModemControl(value & 0x1F);
      case LINE_STATUS, MODEM_STATUS -> {}
      default -> scratch = value;
    }
  }

  private boolean fifoEnabled() {
    return (fifoControl & FCR_ENABLE) != 0;
  }

  private int capacity() {
    return fifoEnabled() ? FIFO_SIZE : 1;
  }

  private int trigger() {
    return fifoEnabled() ? TRIGGER_LEVELS[fifoControl >> 6 & 3] : 1;
  }

  // --- interrupts ---

  /// The interrupt with the highest priority, as the identification register gives it.
  private int source() {
    if ((interruptEnable & IER_LINE) != 0 && lineErrors != 0) {
      return IIR_LINE;
    }
    if ((interruptEnable & IER_RECEIVE) != 0) {
      if (fifoCount >= trigger()) {
        return IIR_RECEIVE;
      }
      if (timeoutPending) {
        return IIR_TIMEOUT;
      }
    }
    if ((interruptEnable & IER_TRANSMIT) != 0 && transmitEmptyPending) {
      return IIR_TRANSMIT;
    }
    if ((interruptEnable & IER_MODEM) != 0 && (modemStatus & 0xF) != 0) {
      return IIR_MODEM;
    }
    return IIR_NONE;
  }

  /// On a PC the OUT2 pin connects the interrupt; in loop mode the pin is inactive.
  private void update() {
    boolean connected = (modemControl & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    line.set(connected && source() != IIR_NONE);
  }

  // --- transmitter ---

  private void transmit(int value) {
    transmitEmptyPending = false;
    if ((modemControl & MCR_LOOP) != 0) {
      accept((short) (value & dataMask()));
    } else {
      output.write(value & dataMask());
    }
    if (!transmitting) {
      transmitting = true;
      if (started && (interruptEnable & IER_TRANSMIT) != 0) {
        transmitAlarm.arm(time.nanoTime() + TRANSMIT_TIME);
      }
    }
    update();
  }

  /// The transmitter shows empty again.
  private synchronized void finishTransmission() {
    if (transmitting) {
      transmitting = false;
      transmitEmptyPending = true;
      update();
    }
  }

  /// The word length of the line control register: 5 to 8 bits. An LCR never written means 8, so
  /// that software which skips it is understood.
  private int dataMask() {
    return lineControl == 0 ? 0xFF : (1 << 5 + (lineControl & 3)) - 1;
  }

  // --- receiver ---

  private synchronized void receiveAtLast() {
    receive();
  }

  /// Lets the next burst arrive if it may, and arms the timer if it may later.
  private synchronized void receive() {
    boolean ready = (modemControl & (MCR_RTS | MCR_LOOP)) == MCR_RTS;
    if (!started || !ready || fifoCount > 0 || input.isEmpty()) {
      return;
    }
    long now = time.nanoTime();
    if (now - nextBurst < 0) {
      receiveAlarm.arm(nextBurst);
      return;
    }
    int room = capacity();
    while (fifoCount < room) {
      int item = input.poll();
      if (item < 0) {
        break;
      }
      accept((short) item);
    }
    update();
  }

  /// A character arrives at the receiver.
  private void accept(short item) {
    if (fifoCount == capacity()) {
      lineErrors |= LSR_OVERRUN;
      if (!fifoEnabled()) {
        fifo[fifoHead] = item;
      }
    } else {
      fifo[fifoHead + fifoCount & FIFO_SIZE - 1] = item;
      fifoCount++;
      if (fifoCount == 1) {
        lineErrors |= item >> 8;
      }
    }
    timeoutPending = false;
    armTimeout();
  }

  private int readData() {
    if (fifoCount == 0) {
      return 0;
    }
    int value = fifo[fifoHead] & 0xFF;
    fifoHead = fifoHead + 1 & FIFO_SIZE - 1;
    fifoCount--;
    timeoutPending = false;
    if (fifoCount > 0) {
      lineErrors |= fifo[fifoHead] >> 8;
      armTimeout();
    } else {
      emptied();
    }
    update();
    return value;
  }

  private void emptied() {
    timeoutAlarm.cancel();
    nextBurst = time.nanoTime() + BURST_GAP;
    receive();
  }

  private int readLineStatus() {
    finishTransmission();
    int status = LSR_TRANSMIT_EMPTY | lineErrors;
    if (fifoCount > 0) {
      status |= LSR_DATA_READY;
    }
    if (fifoEnabled()) {
      for (int i = 0; i < fifoCount; i++) {
        if (fifo[fifoHead + i & FIFO_SIZE - 1] >> 8 != 0) {
          status |= LSR_FIFO_ERROR;
        }
      }
    }
    lineErrors = 0;
    if (fifoCount > 0) {
      fifo[fifoHead] &= 0xFF;
    }
    update();
    return status;
  }

  private void writeFifoControl(int value) {
    boolean wasEnabled = fifoEnabled();
    fifoControl = (value & FCR_ENABLE) != 0 ? value & FCR_KEPT : 0;
    boolean clear = fifoEnabled() && (value & FCR_CLEAR_RECEIVE) != 0;
    if (clear || fifoEnabled() != wasEnabled) {
      clearFifo();
    }
    update();
  }

  private void clearFifo() {
    boolean had = fifoCount > 0;
    fifoHead = 0;
    fifoCount = 0;
    lineErrors = 0;
    timeoutPending = false;
    if (had) {
      emptied();
    }
  }

  private void armTimeout() {
    if (started && fifoEnabled()) {
      timeoutAlarm.arm(time.nanoTime() + timeout());
    }
  }

  /// Four character times, in nanoseconds.
  private long timeout() {
    int stopBits = (lineControl & 1 << 2) != 0 ? 2 : 1;
    int parityBits = (lineControl & 1 << 3) != 0 ? 1 : 0;
    long bits = 1 + 5 + (lineControl & 3) + parityBits + stopBits;
    return 4 * bits * Math.max(1, divisor) * 1_000_000_000L / BIT_CLOCK;
  }

  private synchronized void timeOut() {
    if (started && fifoEnabled() && fifoCount > 0) {
      timeoutPending = true;
      update();
    }
  }

  // --- modem ---

  private void writeModemControl(int value) {
    boolean wasLoop = (modemControl & MCR_LOOP) != 0;
    modemControl = value;
    if ((value & MCR_LOOP) != 0) {
      setModemStatus(
          ((value & MCR_RTS) != 0 ? MSR_CTS : 0)
              | ((value & MCR_DTR) != 0 ? MSR_DSR : 0)
              | ((value & MCR_OUT1) != 0 ? MSR_RING : 0)
              | ((value & MCR_OUT2) != 0 ? MSR_CARRIER : 0));
    } else if (wasLoop) {
      setModemStatus(modemInputs);
    }
    update();
    receive();
  }

  /// New levels of the modem inputs; changes set the delta bits, for RI only its fall.
  private void setModemStatus(int lines) {
    int changed = (modemStatus ^ lines) & 0xF0;
    if ((lines & MSR_RING) != 0) {
      changed &= ~MSR_RING;
    }
    modemStatus = lines & 0xF0 | modemStatus & 0xF | changed >> 4;
  }

  // --- saved state ---

  public synchronized UartState state() {
    finishTransmission();
    var received = new short[fifoCount];
    for (int i = 0; i < fifoCount; i++) {
      received[i] = fifo[fifoHead + i & FIFO_SIZE - 1];
    }
    return new UartState(
        interruptEnable,
        fifoControl,
        lineControl,
        modemControl,
        modemStatus,
        modemInputs,
        lineErrors,
        scratch,
        divisor,
        received,
        transmitEmptyPending,
        timeoutPending,
        input.contents());
  }

  public synchronized void setState(UartState state) {
    interruptEnable = state.interruptEnable() & 0xF;
    fifoControl = state.fifoControl() & FCR_KEPT;
    lineControl = state.lineControl() & 0xFF;
    modemControl = state.modemControl() & 0x1F;
    modemStatus = state.modemStatus() & 0xFF;
    modemInputs = state.modemInputs() & 0xF0;
    lineErrors = state.lineErrors() & 0x1E;
    scratch = state.scratch() & 0xFF;
    divisor = state.divisor() & 0xFFFF;
    fifoHead = 0;
    fifoCount = Math.min(state.received().length, capacity());
    System.arraycopy(state.received(), 0, fifo, 0, fifoCount);
    transmitting = false;
    transmitEmptyPending = state.transmitEmptyPending();
    timeoutPending = state.timeoutPending();
    input.setContents(state.input());
    update();
    if (fifoCount > 0 && !timeoutPending) {
      armTimeout();
    }
    receive();
  }
}
