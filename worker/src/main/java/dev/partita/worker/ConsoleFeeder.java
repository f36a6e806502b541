package dev.partita.worker;

import dev.partita.chipset.device.Uart;
import java.util.Arrays;

/// Carries a console's input to one machine's serial port. What the guest has not received when the
/// machine ends goes back, for the next machine.
final class ConsoleFeeder implements AutoCloseable {
  private final Console console;
  private final Uart port;
  private final Thread thread;

  ConsoleFeeder(Console console, Uart port) {
    this.console = console;
    this.port = port;
    thread = Thread.ofPlatform().name("partita-feeder").daemon().unstarted(this::feed);
  }

  void start() {
    thread.start();
  }

  private void feed() {
    var bytes = new byte[Console.INPUT_CAPACITY];
    int length = 0;
    int sent = 0;
    try {
      while (true) {
        length = console.receive(bytes);
        sent = 0;
        if (length < 0) {
          return;
        }
        while (sent < length) {
          int taken = port.offerInput(bytes, sent, length - sent);
          if (taken == 0) {
            port.sendInput(new byte[] {bytes[sent]}); // waits for room
            taken = 1;
          }
          sent += taken;
        }
      }
    } catch (InterruptedException e) {
      if (length > sent) {
        console.unread(Arrays.copyOfRange(bytes, sent, length));
      }
    }
  }

  /// Stops feeding, and takes back what still waits in the port. The port must have stopped.
  @Override
  public void close() {
    thread.interrupt();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    var state = port.state();
    console.unread(bytes(state.input()));
    console.unread(bytes(state.received()));
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static byte[] bytes(short[] items) {
    var bytes = new byte[items.length];
    int length = 0;
    for (short item : items) {
      if (item >>> 8 == 0) { // else a break, or a character with an error
        bytes[length++] = (byte) item;
      }
    }
    return Arrays.copyOf(bytes, length);
  }
}
