package dev.partita.disk;

import java.io.IOException;
import java.util.Arrays;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// The two headers of a VHDX file ([MS-VHDX] 2.2.2), of which the valid one with the higher
/// sequence number counts. Not thread-safe: its owner's commit lock guards it.
final class VhdxHeaders {
  private static final String SIGNATURE = "head";

  /// One header.
  ///
  /// @param sequence rises with every update
  /// @param fileWrite changes when a file is opened and then modified
  /// @param dataWrite changes when the virtual disk's content does; children know their parent by
  ///     it
  /// @param log of which entries in the log count; none when zero
  record Header(
      long sequence, UUID fileWrite, UUID dataWrite, UUID log, long logOffset, long logLength) {

    boolean logged() {
      return !log.equals(VhdxLayout.NO_GUID);
    }

    Header withLog(UUID guid) {
      return new Header(sequence, fileWrite, dataWrite, guid, logOffset, logLength);
    }

    Header withWrites(UUID newFileWrite, UUID newDataWrite) {
      return new Header(sequence, newFileWrite, newDataWrite, log, logOffset, logLength);
    }

    byte[] encode() {
      var bytes = new byte[VhdxLayout.HEADER_SIZE];
      Bytes.putAscii(bytes, 0, SIGNATURE);
      Bytes.putLong(bytes, 8, sequence);
      Bytes.putGuid(bytes, 16, fileWrite);
      Bytes.putGuid(bytes, 32, dataWrite);
      Bytes.putGuid(bytes, 48, log);
      Bytes.putShort(bytes, 64, 0); // LogVersion
      Bytes.putShort(bytes, 66, 1); // Version
      Bytes.putInt(bytes, 68, (int) logLength);
      Bytes.putLong(bytes, 72, logOffset);
      Bytes.putInt(bytes, 4, VhdxLayout.checksum(bytes, 4));
      return bytes;
    }
  }

  private final DiskFile file;
  private Header current;
  private int slot;

  private VhdxHeaders(DiskFile file, Header current, int slot) {
    this.file = file;
    this.current = current;
    this.slot = slot;
  }

  static VhdxHeaders read(DiskFile file, Complaints complaints) throws IOException {
    var name = file.name();
    if (file.size() < VhdxLayout.HEADER_SECTION
        || !Bytes.matches(
            file.bytes(0, VhdxLayout.FILE_SIGNATURE.length()), 0, VhdxLayout.FILE_SIGNATURE)) {
      throw new DiskException(name + ": not a VHDX file (no signature \"vhdxfile\" at its start)");
    }
    var first = file.bytes(VhdxLayout.HEADER_OFFSETS[0], VhdxLayout.HEADER_SIZE);
    var second = file.bytes(VhdxLayout.HEADER_OFFSETS[1], VhdxLayout.HEADER_SIZE);
    boolean firstValid = valid(first);
    boolean secondValid = valid(second);
    if (!firstValid && !secondValid) {
      throw new DiskException(name + ": both headers are damaged (signature or checksum)");
    }
    int slot =
        !firstValid
                || secondValid
                    && Long.compareUnsigned(Bytes.int64(second, 8), Bytes.int64(first, 8)) > 0
            ? 1
            : 0;
    if (firstValid
        && secondValid
        && Bytes.int64(first, 8) == Bytes.int64(second, 8)
        && !Arrays.equals(first, second)) {
      complaints.add(name + ": both headers have the same sequence number but differ");
    }
    return new VhdxHeaders(file, decode(name, slot == 0 ? first : second), slot);
  }

  /// Whether both copies are whole; for a check.
  static boolean bothValid(DiskFile file) throws IOException {
    return valid(file.bytes(VhdxLayout.HEADER_OFFSETS[0], VhdxLayout.HEADER_SIZE))
        && valid(file.bytes(VhdxLayout.HEADER_OFFSETS[1], VhdxLayout.HEADER_SIZE));
  }

  private static boolean valid(byte[] bytes) {
    return Bytes.matches(bytes, 0, SIGNATURE)
        && Bytes.int32(bytes, 4) == VhdxLayout.checksum(bytes, 4);
  }

  private static Header decode(String name, byte[] bytes) throws DiskException {
    int version = Bytes.unsignedShort(bytes, 66);
    int logVersion = Bytes.unsignedShort(bytes, 64);
    if (version != 1 || logVersion != 0) {
      throw new DiskException(
          "%s: version %d with log version %d; only version 1 with log version 0 is known"
              .formatted(name, version, logVersion));
    }
    return new Header(
        Bytes.int64(bytes, 8),
        Bytes.guid(bytes, 16),
        Bytes.guid(bytes, 32),
        Bytes.guid(bytes, 48),
        Bytes.int64(bytes, 72),
        Bytes.unsignedInt(bytes, 68));
  }

  Header current() {
    return current;
  }

  /// Replaces both headers, the one that does not count first, each on the medium before the next
  /// (2.2.2.1). When this returns, both say the new.
  void update(UnaryOperator<Header> change) throws IOException {
    var changed = change.apply(current);
    for (int i = 0; i < 2; i++) {
      var next =
          new Header(
              current.sequence() + 1,
              changed.fileWrite(),
              changed.dataWrite(),
              changed.log(),
              changed.logOffset(),
              changed.logLength());
      int other = 1 - slot;
      file.write(VhdxLayout.HEADER_OFFSETS[other], next.encode());
      file.force();
      current = next;
      slot = other;
    }
  }

  /// Writes the first headers of a new file, without a flush.
  static void create(DiskFile file, @Nullable UUID dataWrite, long logOffset, long logLength)
      throws IOException {
    var header =
        new Header(
            1,
            UUID.randomUUID(),
            dataWrite == null ? UUID.randomUUID() : dataWrite,
            VhdxLayout.NO_GUID,
            logOffset,
            logLength);
    file.write(VhdxLayout.HEADER_OFFSETS[0], header.encode());
    file.write(
        VhdxLayout.HEADER_OFFSETS[1],
        new Header(
                2,
                header.fileWrite(),
                header.dataWrite(),
                header.log(),
                header.logOffset(),
                header.logLength())
            .encode());
  }
}
