/// The synthetic SCSI controller with its disks and DVD drives.
package dev.partita.synthetic.storage;
