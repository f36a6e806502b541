package dev.partita.worker;

import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The line between a partition's serial port and whoever holds it on the host: the standard
/// streams, or a client of the control socket. It outlives a reset of the machine.
///
/// At most one {@link Holder} has the line; a new one takes it over. Without a holder the newest
/// {@link #OUTPUT_CAPACITY} bytes of output are kept for the next one. With a holder nothing is
/// dropped: a holder that does not take its output stops the guest at the port, as flow control
/// on a real line does.
///
/// Any thread may call any method.
public final class Console implements AutoCloseable {
  /// Bytes of output kept, at most.
  public static final int OUTPUT_CAPACITY = 1 << 16;

  /// Bytes of input waiting for the guest, at most; {@link #send} blocks beyond.
  public static final int INPUT_CAPACITY = 4096;

  private static final int CHUNK = 8192;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition outputChanged = lock.newCondition();
  private final Condition inputChanged = lock.newCondition();
  private final byte[] output = new byte[OUTPUT_CAPACITY];
  private long outputHead;
  private long outputTail;
  private final byte[] input = new byte[INPUT_CAPACITY];
  private long inputHead;
  private long inputTail;
  private @Nullable Holder holder;
  private byte[] returned = {};
  private boolean writing;
  private boolean interrupted;
  private boolean closed;
  private final Thread pump;

  /// Who takes the output.
  public interface Holder {
    /// Takes some output; may block. Called on the console's own thread, in order.
    ///
    /// @throws IOException if this holder is gone: it loses the line
    void write(byte[] bytes, int length) throws IOException;

    /// The line is another's now, or the console is closed, or {@link #write} failed. Called once,
    /// with no lock held.
    ///
    /// @param failure what {@link #write} threw, or null
    void released(@Nullable IOException failure);
  }

  /// Starts the console's thread.
  public Console() {
    pump = Thread.ofPlatform().name("partita-console").daemon().start(this::pumpOutput);
  }

  /// A byte from the guest. Blocks while a holder is behind by {@link #OUTPUT_CAPACITY}, until
  /// {@link #interruptGuest} or {@link #close}.
  public void transmit(int value) {
    lock.lock();
    try {
      while (outputHead - outputTail == OUTPUT_CAPACITY) {
        if (holder == null || interrupted || closed) {
          outputTail++;
        } else {
          outputChanged.awaitUninterruptibly();
        }
      }
      output[(int) (outputHead % OUTPUT_CAPACITY)] = (byte) value;
      outputHead++;
      if (outputHead - outputTail == 1) {
        outputChanged.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /// Lets a processor that waits in {@link #transmit} go on, dropping output instead: the machine
  /// is being stopped. `false` ends that again, for the next machine.
  public void interruptGuest(boolean on) {
    lock.lock();
    try {
      interrupted = on;
      outputChanged.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /// Gives the line to a holder, taking it from an earlier one; null takes it from everyone.
  public void attach(@Nullable Holder next) {
    Holder former;
    boolean refused;
    lock.lock();
    try {
      former = holder;
      refused = closed;
      holder = refused ? null : next;
      outputChanged.signalAll();
    } finally {
      lock.unlock();
    }
    if (former != null && former != next) {
      former.released(null);
    }
    if (next != null && refused) {
      next.released(null);
    }
  }

  /// Gives the line up, if this holder still has it. Not called back with {@link Holder#released}.
  public void detach(Holder leaving) {
    lock.lock();
    try {
      if (holder == leaving) {
        holder = null;
        outputChanged.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /// Whether this holder has the line.
  public boolean holds(Holder candidate) {
    lock.lock();
    try {
      return holder == candidate;
    } finally {
      lock.unlock();
    }
  }

  /// Input for the guest; blocks while {@link #INPUT_CAPACITY} bytes wait.
  ///
  /// @return false if the console was closed first
  public boolean send(byte[] bytes, int length) throws InterruptedException {
    int sent = 0;
    lock.lockInterruptibly();
    try {
      while (sent < length) {
        while (inputHead - inputTail == INPUT_CAPACITY && !closed) {
          inputChanged.await();
        }
        if (closed) {
          return false;
        }
        while (sent < length && inputHead - inputTail < INPUT_CAPACITY) {
          input[(int) (inputHead++ % INPUT_CAPACITY)] = bytes[sent++];
        }
        inputChanged.signalAll();
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /// Takes input for the guest; blocks while there is none.
  ///
  /// @return how many bytes, at least 1; -1 if the console is closed
  public int receive(byte[] bytes) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (returned.length == 0 && inputHead == inputTail && !closed) {
        inputChanged.await();
      }
      if (closed) {
        return -1;
      }
      if (returned.length > 0) {
        int length = Math.min(bytes.length, returned.length);
        System.arraycopy(returned, 0, bytes, 0, length);
        returned = Arrays.copyOfRange(returned, length, returned.length);
        return length;
      }
      int length = 0;
      while (length < bytes.length && inputTail != inputHead) {
        bytes[length++] = input[(int) (inputTail++ % INPUT_CAPACITY)];
      }
      inputChanged.signalAll();
      return length;
    } finally {
      lock.unlock();
    }
  }

  /// Gives input back that was received and could not be used: it will be received first.
  ///
  /// @param bytes not more than have been received and not given back
  public void unread(byte[] bytes) {
    lock.lock();
    try {
      var all = Arrays.copyOf(bytes, bytes.length + returned.length);
      System.arraycopy(returned, 0, all, bytes.length, returned.length);
      returned = all;
      inputChanged.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /// Waits until the holder has taken all output, it is gone, or the time is over.
  ///
  /// @param nanos at most this long
  public void drain(long nanos) {
    lock.lock();
    try {
      long left = nanos;
      while ((outputHead != outputTail || writing) && holder != null && !closed && left > 0) {
        left = outputChanged.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      lock.unlock();
    }
  }

  /// Takes the line from its holder and lets everyone who waits go on.
  @Override
  public void close() {
    Holder former;
    lock.lock();
    try {
      closed = true;
      former = holder;
      holder = null;
      outputChanged.signalAll();
      inputChanged.signalAll();
    } finally {
      lock.unlock();
    }
    if (former != null) {
      former.released(null);
    }
  }

  private void pumpOutput() {
    var chunk = new byte[CHUNK];
    while (true) {
      Holder to;
      int length = 0;
      lock.lock();
      try {
        writing = false;
        outputChanged.signalAll();
        while (!closed && (holder == null || outputHead == outputTail)) {
          outputChanged.awaitUninterruptibly();
        }
        if (holder == null) {
          return;
        }
        to = holder;
        while (outputTail != outputHead && length < CHUNK) {
          chunk[length++] = output[(int) (outputTail++ % OUTPUT_CAPACITY)];
        }
        writing = true;
        outputChanged.signalAll();
      } finally {
        lock.unlock();
      }
      try {
        to.write(chunk, length);
      } catch (IOException e) {
        release(to, e);
      }
    }
  }

  private void release(Holder failed, IOException failure) {
    boolean had;
    lock.lock();
    try {
      had = holder == failed;
      if (had) {
        holder = null;
      }
    } finally {
      lock.unlock();
    }
    if (had) {
      failed.released(failure);
    }
  }
}
