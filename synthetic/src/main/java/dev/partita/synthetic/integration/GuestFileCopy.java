package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The guest service interface: copies a file from the host into the guest, one at a time. Linux
/// needs its daemon for it (`hv_fcopy_daemon`, from version 6.10 on `hv_fcopy_uio_daemon`).
///
/// Methods that ask the guest wait for its answer, on any thread but a channel's. They throw {@link
/// GuestRefusalException} when it refuses, does not answer, or is not there.
public final class GuestFileCopy extends RequestingService {
  private static final UUID INTERFACE = UUID.fromString("34d14be3-dee4-41c8-9ae7-6b174977c192");

  /// Linux's newer daemon finds the device by this instance.
  private static final UUID INSTANCE = UUID.fromString("eb765408-105f-49b6-b4aa-c123b64d17d4");

  // enum hv_fcopy_op (Linux, include/uapi/linux/hyperv.h).
  private static final int START = 0;
  private static final int WRITE = 1;
  private static final int COMPLETE = 2;
  private static final int CANCEL = 3;

  /// struct hv_fcopy_hdr: operation, and two GUIDs that nobody uses.
  private static final int HEADER_SIZE = 36;

  // struct hv_start_fcopy.
  private static final int PATH_FIELD = 520;
  private static final int NARROW_PATH_FIELD = 260;
  private static final int NAME_OFFSET = HEADER_SIZE;
  private static final int FOLDER_OFFSET = NAME_OFFSET + PATH_FIELD;
  private static final int FLAGS_OFFSET = FOLDER_OFFSET + PATH_FIELD;
  private static final int FILE_SIZE_OFFSET = FLAGS_OFFSET + 4;
  private static final int START_SIZE = FILE_SIZE_OFFSET + 8;
  private static final int FLAG_OVERWRITE = 1;
  private static final int FLAG_CREATE_FOLDERS = 2;

  // struct hv_do_fcopy.
  private static final int POSITION_OFFSET = HEADER_SIZE + 4;
  private static final int COUNT_OFFSET = POSITION_OFFSET + 8;
  private static final int DATA_OFFSET = COUNT_OFFSET + 4;

  /// Bytes of a file that are sent at a time, at most.
  public static final int FRAGMENT = 6 * 1024;

  /// What is asked is known by its operation and, above it, the transfer's number.
  private static final int NUMBER_SHIFT = 8;

  private static final int MOST_NUMBER = 0xFFFF;

  private @Nullable Transfer current;
  private boolean begun;
  private int nextNumber;

  public GuestFileCopy(TimeSource time) {
    super(INTERFACE, INSTANCE, IntegrationMessage.FILE_COPY, time, version(1, 1));
  }

  /// Where a file goes in the guest.
  ///
  /// @param folder absolute, in the guest's own manner: `/root/` or `C:\Users`
  /// @param name of the file in it
  /// @param overwrite whether a file that is there may be replaced
  /// @param createFolders whether folders that are not there are made
  public record Destination(String folder, String name, boolean overwrite, boolean createFolders) {
    /// @throws IllegalArgumentException if the guest cannot be given these names
    public Destination {
      if (name.isEmpty() || !WideText.fits(name, PATH_FIELD, NARROW_PATH_FIELD)) {
        throw new IllegalArgumentException(
            "a file's name has 1 to 259 bytes: \"" + name + "\" has not");
      }
      if (folder.isEmpty() || !WideText.fits(folder, PATH_FIELD, NARROW_PATH_FIELD)) {
        throw new IllegalArgumentException(
            "a folder has 1 to 259 bytes: \"" + folder + "\" has not");
      }
    }

    /// The destination of a whole path.
    ///
    /// @throws IllegalArgumentException if it is not absolute, or has no file's name at its end
    public static Destination of(String path, boolean overwrite, boolean createFolders) {
      boolean windows = path.matches("(?s)[A-Za-z]:[\\\\/].*|\\\\\\\\.*");
      if (!windows && !path.startsWith("/")) {
        throw new IllegalArgumentException("\"" + path + "\" is not a whole path: /root/file, say");
      }
      int end =
          windows ? Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) : path.lastIndexOf('/');
      if (end == path.length() - 1) {
        throw new IllegalArgumentException("\"" + path + "\" names no file");
      }
      // The folder keeps its separator: Linux's daemon looks for folders up to the last one.
      return new Destination(
          path.substring(0, end + 1), path.substring(end + 1), overwrite, createFolders);
    }
  }

  /// Begins to copy.
  ///
  /// @param size bytes
  public Transfer start(Destination destination, long size)
      throws GuestRefusalException, InterruptedException {
    Transfer transfer;
    synchronized (this) {
      if (current != null) {
        throw new GuestRefusalException(GuestRefusalException.BUSY);
      }
      transfer = new Transfer(nextNumber);
      nextNumber = nextNumber + 1 & MOST_NUMBER;
      current = transfer;
    }
    boolean accepted = false;
    try {
      transfer.exchange(START, startMessage(destination, size));
      accepted = true;
    } finally {
      if (!accepted) {
        transfer.close();
      }
    }
    return transfer;
  }

  private static byte[] startMessage(Destination destination, long size) {
    var body = new byte[START_SIZE];
    WideText.put(body, NAME_OFFSET, destination.name());
    WideText.put(body, FOLDER_OFFSET, destination.folder());
    int flags =
        (destination.overwrite() ? FLAG_OVERWRITE : 0)
            | (destination.createFolders() ? FLAG_CREATE_FOLDERS : 0);
    ByteBuffer.wrap(body)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(START)
        .putInt(FLAGS_OFFSET, flags)
        .putLong(FILE_SIZE_OFFSET, size);
    return body;
  }

  private static byte[] plain(int operation) {
    var body = new byte[HEADER_SIZE];
    body[0] = (byte) operation;
    return body;
  }

  /// A copy under way. One thread.
  public final class Transfer implements AutoCloseable {
    private final int number;
    private long position;

    private Transfer(int number) {
      this.number = number;
    }

    /// Sends what comes next in the file.
    ///
    /// @param length 0 to {@link #FRAGMENT}
    public void write(byte[] bytes, int length) throws GuestRefusalException, InterruptedException {
      if (length < 0 || length > FRAGMENT) {
        throw new IllegalArgumentException(length + " bytes in a fragment");
      }
      // Always the whole structure: Linux hands that to its daemon.
      var body = new byte[DATA_OFFSET + FRAGMENT];
      ByteBuffer.wrap(body)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(WRITE)
          .putLong(POSITION_OFFSET, position)
          .putInt(COUNT_OFFSET, length);
      System.arraycopy(bytes, 0, body, DATA_OFFSET, length);
      exchange(WRITE, body);
      position += length;
    }

    /// The file is complete.
    public void finish() throws GuestRefusalException, InterruptedException {
      exchange(COMPLETE, plain(COMPLETE));
      synchronized (GuestFileCopy.this) {
        leave();
      }
    }

    private void exchange(int operation, byte[] body)
        throws GuestRefusalException, InterruptedException {
      synchronized (GuestFileCopy.this) {
        if (current != this) {
          // The driver went away meanwhile.
          throw new GuestRefusalException(GuestRefusalException.NOT_CONNECTED);
        }
      }
      GuestFileCopy.this.exchange(operation | number << NUMBER_SHIFT, body, LIMIT_NANOS);
    }

    private void leave() {
      if (current == this) {
        current = null;
        begun = false;
      }
    }

    /// Gives up, unless it is finished: the guest throws away what it has.
    @Override
    public void close() {
      synchronized (GuestFileCopy.this) {
        if (current == this && begun) {
          // Linux's newer daemon does not know it. There is nothing more to be done.
          ask(CANCEL, plain(CANCEL), LIMIT_NANOS);
        }
        leave();
      }
    }
  }

  @Override
  void settled(int operation, int status) {
    if ((operation & 0xFF) == START && status == 0) {
      if (current != null && current.number == operation >>> NUMBER_SHIFT) {
        begun = true;
      } else {
        // Nobody waits for it any more.
        askNext(CANCEL, plain(CANCEL));
      }
    }
  }

  @Override
  void resumed() {
    if (begun) {
      // Whoever had the rest of the file is gone.
      begun = false;
      ask(CANCEL, plain(CANCEL), LIMIT_NANOS);
    }
  }

  @Override
  void begin() {
    super.begin();
    begun = false;
  }

  @Override
  void ended() {
    current = null;
    begun = false;
    super.ended();
  }

  // --- saved state ---

  /// The saveable state.
  ///
  /// @param begun whether the guest has a file half
  public record State(RequestingState service, boolean begun) {
    /// Of a service whose driver has not spoken.
    public static final State NONE = new State(RequestingState.NONE, false);
  }

  /// The state. Only while the bus is paused.
  public synchronized State savedState() {
    return new State(requestingState(), begun);
  }

  /// Takes a state over, before the bus does.
  public synchronized void restore(State state) {
    restore(state.service());
    nextNumber = (state.service().awaitedOperation() >>> NUMBER_SHIFT) + 1 & MOST_NUMBER;
    begun = state.begun();
  }
}
