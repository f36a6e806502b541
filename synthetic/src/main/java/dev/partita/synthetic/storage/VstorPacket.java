package dev.partita.synthetic.storage;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/// Makes the packets that go to the guest.
final class VstorPacket {
  private VstorPacket() {}

  private static ByteBuffer begin(int operation, int status) {
    return ByteBuffer.allocate(VstorLayout.SIZE)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(VstorLayout.OPERATION, operation)
        .putInt(VstorLayout.STATUS, status);
  }

  static byte[] empty(int operation, int status) {
    return begin(operation, status).array();
  }

  static byte[] version(int status, int majorMinor) {
    return begin(VstorLayout.COMPLETE_IO, status)
        .putShort(VstorLayout.BODY, (short) majorMinor)
        .array();
  }

  static byte[] properties(int subChannels, int mostTransfer) {
    return begin(VstorLayout.COMPLETE_IO, VstorLayout.STATUS_SUCCESS)
        .putShort(VstorLayout.MOST_SUB_CHANNELS, (short) subChannels)
        .putInt(VstorLayout.PROPERTY_FLAGS, VstorLayout.MULTI_CHANNEL)
        .putInt(VstorLayout.MOST_TRANSFER, mostTransfer)
        .array();
  }

  /// @param srb the packet that brought the request
  static byte[] result(ByteBuffer srb, ScsiResult result) {
    var packet = begin(VstorLayout.COMPLETE_IO, result.ntStatus());
    var sense = sense(srb, result.sense());
    packet.putShort(VstorLayout.SRB_LENGTH, (short) VstorLayout.SRB_SIZE);
    packet.put(
        VstorLayout.SRB_STATUS,
        (byte) (result.srbStatus() | (sense.length > 0 ? ScsiResult.AUTOSENSE_VALID : 0)));
    packet.put(VstorLayout.SCSI_STATUS, (byte) result.status());
    for (int field :
        new int[] {VstorLayout.PATH, VstorLayout.TARGET, VstorLayout.LUN, VstorLayout.CDB_LENGTH}) {
      packet.put(field, srb.get(field));
    }
    packet.put(VstorLayout.SENSE_LENGTH, (byte) sense.length);
    packet.putInt(VstorLayout.TRANSFER_LENGTH, result.transferred());
    packet.put(VstorLayout.SENSE, sense);
    return packet.array();
  }

  private static byte[] sense(ByteBuffer srb, @Nullable Sense sense) {
    int room = srb.get(VstorLayout.SENSE_LENGTH) & 0xFF;
    return sense == null ? new byte[0] : sense.bytes(Math.min(room, VstorLayout.LONGEST_SENSE));
  }
}
