"""Files that the benchmarks make, because no package ships any like them."""

from __future__ import annotations

import io
import random
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian


def slices(count: int, size: int = 0) -> list[bytes]:
    """Makes a CT series of small slices, which differ in what those of a scanner differ in.

    Args:
        count: how many.
        size: how long their pixel data are made, in bytes; 0 leaves them at 32 KiB.
    """
    rng = random.Random(0)  # noqa: S311
    ds = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    if size:
        ds.PixelData = bytes(size)
    files = []
    for number in range(1, count + 1):
        position = -120 + number * 0.625
        time = f"12{number // 60 % 60:02}{number % 60:02}"
        uid = UID(f"1.2.840.113619.2.55.3.{rng.randrange(10**9)}.{number}")
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
        ds.InstanceNumber = number
        ds.SliceLocation = f"{position:.9g}"
        ds.ImagePositionPatient = ["-158.135803", "-179.035797", f"{position:.9g}"]
        ds.AcquisitionTime = ds.ContentTime = f"{time}.{rng.randrange(10**6)}"
        ds.XRayTubeCurrent = rng.randrange(80, 400)
        ds.WindowCenter = rng.randrange(-600, 600)
        files.append(_bytes(ds))
    return files


def multi_frame(frames: int) -> bytes:
    """Makes an enhanced MR object with functional groups for each frame."""
    ds = _header("1.2.840.10008.5.1.4.1.1.4.1", "MR")
    ds.NumberOfFrames = frames
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelRepresentation, ds.SamplesPerPixel = 0, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PerFrameFunctionalGroupsSequence = Sequence([_frame(number) for number in range(frames)])
    ds.PixelData = bytes(16 * 16 * 2 * frames)
    return _bytes(ds)


def structure_set(structures: int, contours: int, points: int) -> bytes:
    """Makes an RT structure set."""
    ds = _header("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT")
    ds.StructureSetLabel = "PLAN"
    ds.StructureSetROISequence = Sequence(
        [
            _item(ROINumber=number, ROIName=f"ROI{number}", ROIGenerationAlgorithm="MANUAL")
            for number in range(structures)
        ]
    )
    ds.ROIContourSequence = Sequence(
        [
            _item(
                ROIDisplayColor=[255, 0, number % 256],
                ReferencedROINumber=number,
                ContourSequence=Sequence(
                    [contour_item(number, index, points) for index in range(contours)]
                ),
            )
            for number in range(structures)
        ]
    )
    return _bytes(ds)


def contour_item(structure: int, index: int, points: int) -> Dataset:
    """Makes one contour."""
    return _item(
        ContourImageSequence=Sequence(
            [
                _item(
                    ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                    ReferencedSOPInstanceUID=f"1.2.826.0.1.3680043.9.{index}",
                )
            ]
        ),
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=points,
        ContourData=[f"{structure}.{index}{point}" for point in range(points * 3)],
    )


def _frame(number: int) -> Dataset:
    return _item(
        FrameContentSequence=_one(
            FrameAcquisitionDateTime="20200101120000.123",
            FrameReferenceDateTime="20200101120000.1",
            FrameAcquisitionDuration=1.5,
            StackID="1",
            InStackPositionNumber=number + 1,
            DimensionIndexValues=[1, number + 1],
            TemporalPositionIndex=1,
            FrameAcquisitionNumber=number + 1,
        ),
        PlanePositionSequence=_one(ImagePositionPatient=[0.0, 0.0, float(number)]),
        PlaneOrientationSequence=_one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=_one(SliceThickness="1.0", PixelSpacing=[1, 1]),
        FrameVOILUTSequence=_one(WindowCenter="100", WindowWidth="200"),
        PixelValueTransformationSequence=_one(
            RescaleIntercept="0", RescaleSlope="1", RescaleType="US"
        ),
        MREchoSequence=_one(EffectiveEchoTime=10.0),
        MRTimingAndRelatedParametersSequence=_one(
            RepetitionTime="500", FlipAngle="90", EchoTrainLength="1"
        ),
        ReferencedImageSequence=_one(
            ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.4",
            ReferencedSOPInstanceUID=f"1.2.826.0.1.3680043.8.{number}",
        ),
    )


def _header(sop_class: str, modality: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.10.1")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for keyword, value in {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": "1.2.826.0.1.3680043.10.1",
        "StudyDate": "20200101",
        "SeriesDate": "20200101",
        "AccessionNumber": "A1",
        "Modality": modality,
        "InstitutionName": "Hospital",
        "ReferringPhysicianName": "Refer^Ring",
        "StudyDescription": "Study",
        "PatientName": "Doe^Jane",
        "PatientID": "123456",
        "PatientBirthDate": "19700101",
        "StudyInstanceUID": "1.2.826.0.1.3680043.10.2",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.10.3",
    }.items():
        setattr(ds, keyword, value)
    return ds


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _one(**elements: Any) -> Sequence:
    return Sequence([_item(**elements)])


def _bytes(ds: FileDataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
